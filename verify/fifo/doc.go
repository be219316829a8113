// Package fifo checks what real processes saw of real queues and pipes: small
// histories against a model of a queue, and long ones, of a million operations,
// by the conditions that are necessary and sufficient for items that are put
// once each. Processes are killed at random instants. It holds tests only; "make
// history" runs them.
package fifo
