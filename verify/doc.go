// Package verify checks what real processes did with real locks against a model
// of a lock: histories, some of whose processes are killed at random instants.
// Package fifo does the same with queues and pipes. They hold tests only, in a
// module of its own, so that what they need stays out of ours. "make history"
// runs them.
package verify
