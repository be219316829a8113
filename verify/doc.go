// Package verify checks what real processes did with real locks, and with what
// several hold at a time, against models of these: histories, some of whose
// processes are killed at random instants.
// Package fifo does the same with queues and pipes. They hold tests only, in a
// module of its own, so that what they need stays out of ours. "make history"
// runs them.
package verify
