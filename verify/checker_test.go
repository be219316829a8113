package verify

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"
)

// did is an operation of client 0 or 1 of process 0, client 2 or 3 of process 1,
// and so on.
func did(client int, k kind, o outcome) porcupine.Operation {
	return porcupine.Operation{
		ClientId: client,
		Input:    call{kind: k, client: client, process: client / goroutines},
		Output:   result{o, nobody},
	}
}

// told is an operation that told of a process's death.
func told(client int, k kind, o outcome, dead int) porcupine.Operation {
	op := did(client, k, o)
	op.Output = result{o, dead}
	return op
}

func dies(process int) porcupine.Operation {
	return porcupine.Operation{
		ClientId: clients + process,
		Input:    call{kind: die, client: nobody, process: process},
		Output:   result{ok, nobody},
	}
}

// some is an operation for so many permits, or with 1 for reading.
func some(n int, o porcupine.Operation) porcupine.Operation {
	c := o.Input.(call)
	c.n = n
	o.Input = c
	return o
}

// during is what happens while the operation before it has not returned yet.
func during(o porcupine.Operation) porcupine.Operation {
	o.Call = -1
	return o
}

// sequence has one operation after the other.
func sequence(ops ...porcupine.Operation) []porcupine.Operation {
	for i := range ops {
		concurrent := ops[i].Call < 0
		ops[i].Call, ops[i].Return = int64(10*i), int64(10*i+5)
		if concurrent {
			ops[i-1].Return = ops[i].Return
		}
	}
	return ops
}

const plain, recursive = mutex, rmutex

// The checker accepts what may happen and refuses what must not.
func TestChecker(t *testing.T) {
	for _, tt := range []struct {
		name    string
		of      object
		want    porcupine.CheckResult
		history []porcupine.Operation
	}{
		{"one after the other", plain, porcupine.Ok, sequence(
			did(0, lock, ok), did(2, tryLock, no), did(2, lockEnded, cancelled), did(0, unlock, ok), did(2, lock, ok))},
		{"two owners", plain, porcupine.Illegal, sequence(did(0, lock, ok), did(2, lock, ok))},
		{"two owners in one process", plain, porcupine.Illegal, sequence(did(0, lock, ok), did(1, lockContext, ok))},
		{"locked twice", plain, porcupine.Illegal, sequence(did(0, lock, ok), did(0, tryLock, ok))},
		{"unlock by another", plain, porcupine.Illegal, sequence(did(0, lock, ok), did(2, unlock, ok))},
		{"waits for the unlock", plain, porcupine.Ok, sequence(did(0, lock, ok), did(2, lock, ok), during(did(0, unlock, ok)))},
		{"free but refused", plain, porcupine.Illegal, sequence(did(0, lock, ok), did(0, unlock, ok), did(2, tryLock, no))},
		{"free but refused to an ended context", plain, porcupine.Illegal, sequence(did(0, lockEnded, cancelled))},
		{"kept for one who waits", plain, porcupine.Ok, sequence(
			did(0, lock, ok), did(0, unlock, ok), did(4, lock, ok), during(did(2, tryLock, no)))},

		{"told once", plain, porcupine.Ok, sequence(
			did(0, lock, ok), dies(0), did(2, tryLock, no), told(2, lockContext, died, 0), did(2, mark, ok), did(2, unlock, ok), did(4, lock, ok))},
		{"not told", plain, porcupine.Illegal, sequence(did(0, lock, ok), dies(0), did(2, lock, ok))},
		{"nobody died", plain, porcupine.Illegal, sequence(told(2, lockContext, died, nobody))},
		{"died without the lock", plain, porcupine.Illegal, sequence(
			did(0, lock, ok), did(0, unlock, ok), dies(0), told(2, lockContext, died, 0))},
		{"told of the wrong one", plain, porcupine.Illegal, sequence(
			did(0, lock, ok), dies(0), dies(2), told(2, lockContext, died, 2))},
		{"told although it lives", plain, porcupine.Illegal, sequence(did(0, lock, ok), told(2, lockContext, died, 0))},
		{"taken by TryLock from the dead", plain, porcupine.Illegal, sequence(did(0, lock, ok), dies(0), did(2, tryLock, ok))},
		{"told again without the mark", plain, porcupine.Ok, sequence(
			did(0, lock, ok), dies(0), told(2, lockContext, died, 0), did(2, unlock, ok), did(4, tryLock, no), told(4, lockEnded, died, nobody))},
		{"told once without the mark", plain, porcupine.Illegal, sequence(
			did(0, lock, ok), dies(0), told(2, lockContext, died, 0), did(2, unlock, ok), did(4, lock, ok))},
		{"told twice with the mark", plain, porcupine.Illegal, sequence(
			did(0, lock, ok), dies(0), told(2, lockContext, died, 0), did(2, mark, ok), did(2, unlock, ok), told(4, lockContext, died, nobody))},
		{"Lock panics and lets go", plain, porcupine.Ok, sequence(
			did(0, lock, ok), dies(0), told(2, lock, panicked, 0), told(4, lockContext, died, nobody))},
		{"Lock panics and holds", plain, porcupine.Illegal, sequence(
			did(0, lock, ok), dies(0), told(2, lock, panicked, 0), did(2, unlock, ok))},
		{"who repairs dies", plain, porcupine.Ok, sequence(
			did(0, lock, ok), dies(0), told(2, lockContext, died, 0), dies(1), told(4, lockContext, died, 1))},
		{"works after its death", plain, porcupine.Illegal, sequence(dies(0), did(0, lock, ok))},

		{"killed in Lock, too early", plain, porcupine.Ok, sequence(did(0, lock, pending), dies(0), did(2, lock, ok))},
		{"killed in Lock, too late", plain, porcupine.Ok, sequence(did(0, lock, pending), dies(0), told(2, lockContext, died, 0))},
		{"killed in Lock, not yet dead", plain, porcupine.Ok, sequence(did(0, lock, pending), did(2, tryLock, no), dies(0))},
		{"killed in Unlock, too early", plain, porcupine.Ok, sequence(
			did(0, lock, ok), did(0, unlock, pending), dies(0), told(2, lockContext, died, 0))},
		{"killed in Unlock, too late", plain, porcupine.Ok, sequence(did(0, lock, ok), did(0, unlock, pending), dies(0), did(2, lock, ok))},
		{"both at once", plain, porcupine.Illegal, sequence(
			did(0, lock, ok), did(0, unlock, pending), dies(0), did(2, lock, ok), did(2, unlock, ok), told(4, lockContext, died, 0))},
		{"killed in a Lock that panics", plain, porcupine.Ok, sequence(
			did(0, lock, ok), dies(0), did(2, lock, pending), dies(1), told(4, lockContext, died, 1))},

		{"nested", recursive, porcupine.Ok, sequence(
			did(0, lock, ok), did(0, tryLock, ok), did(0, unlock, ok), did(1, tryLock, no), did(0, unlock, ok), did(1, tryLock, ok))},
		{"nested and refused", recursive, porcupine.Illegal, sequence(did(0, lock, ok), did(0, tryLock, no))},
		{"unlocked once of twice", recursive, porcupine.Illegal, sequence(
			did(0, lock, ok), did(0, lock, ok), did(0, unlock, ok), did(2, lock, ok))},
		{"died nested", recursive, porcupine.Ok, sequence(
			did(0, lock, ok), did(0, lock, ok), dies(0), told(2, lockContext, died, 0), did(2, mark, ok), did(2, unlock, ok), did(4, lock, ok))},

		{"readers share", rwmutex, porcupine.Ok, sequence(
			some(1, did(0, lock, ok)), some(1, did(2, tryLock, ok)), did(4, tryLock, no), some(1, did(0, unlock, ok)), some(1, did(2, unlock, ok)), did(4, lock, ok))},
		{"reads beside a writer", rwmutex, porcupine.Illegal, sequence(did(0, lock, ok), some(1, did(2, lock, ok)))},
		{"writes beside a reader", rwmutex, porcupine.Illegal, sequence(some(1, did(0, lock, ok)), did(2, lock, ok))},
		{"writes beside a reader of its process", rwmutex, porcupine.Illegal, sequence(some(1, did(0, lock, ok)), did(1, lock, ok))},
		{"refused although only others read", rwmutex, porcupine.Illegal, sequence(some(1, did(0, lock, ok)), some(1, did(2, tryLock, no)))},
		{"two who try disturb each other", rwmutex, porcupine.Ok, sequence(did(0, tryLock, no), during(some(1, did(2, tryLock, no))))},
		{"a dead reader counts no more", rwmutex, porcupine.Ok, sequence(some(1, did(0, lock, ok)), dies(0), did(2, lock, ok))},
		{"a dead reader still counts", rwmutex, porcupine.Illegal, sequence(some(1, did(0, lock, ok)), dies(0), did(2, tryLock, no))},
		{"a dead reader is told of", rwmutex, porcupine.Illegal, sequence(some(1, did(0, lock, ok)), dies(0), told(2, lockContext, died, 0))},
		{"a reader is told and does not have it", rwmutex, porcupine.Ok, sequence(
			did(0, lock, ok), dies(0), some(1, told(2, lockContext, died, 0)), told(4, lockContext, died, nobody), did(4, mark, ok), did(4, unlock, ok), some(1, did(2, lock, ok)))},
		{"a reader is told and has it", rwmutex, porcupine.Illegal, sequence(
			did(0, lock, ok), dies(0), some(1, told(2, lockContext, died, 0)), some(1, did(2, unlock, ok)))},
		{"a reader is not told", rwmutex, porcupine.Illegal, sequence(did(0, lock, ok), dies(0), some(1, did(2, lock, ok)))},
		{"killed as a reader who was told", rwmutex, porcupine.Ok, sequence(
			did(0, lock, ok), dies(0), some(1, did(2, lock, pending)), dies(1), told(4, lockContext, died, 1))},

		{"all permits", bounded, porcupine.Ok, sequence(
			some(2, did(0, lock, ok)), some(1, did(2, tryLock, ok)), some(1, did(4, tryLock, no)), some(2, did(0, unlock, ok)), some(2, did(4, lock, ok)))},
		{"one too many", bounded, porcupine.Illegal, sequence(some(2, did(0, lock, ok)), some(2, did(2, lock, ok)))},
		{"free but refused permits", bounded, porcupine.Illegal, sequence(some(2, did(0, lock, ok)), some(1, did(2, tryLock, no)))},
		{"who tries does not disturb who tries", bounded, porcupine.Illegal, sequence(some(1, did(0, tryLock, no)), during(some(1, did(2, tryLock, no))))},
		{"the dead give back", bounded, porcupine.Ok, sequence(some(3, did(0, lock, ok)), dies(0), some(3, did(2, lock, ok)))},
		{"the dead keep", bounded, porcupine.Illegal, sequence(some(3, did(0, lock, ok)), dies(0), some(1, did(2, tryLock, no)))},
		{"killed in a Release", bounded, porcupine.Ok, sequence(
			some(3, did(0, lock, ok)), some(3, did(0, unlock, pending)), some(3, did(2, tryLock, ok)), dies(0))},
		{"released twice", bounded, porcupine.Illegal, sequence(some(1, did(0, lock, ok)), some(1, did(0, unlock, ok)), some(1, did(0, unlock, ok)))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			finish(tt.of, tt.history)
			require.Equal(t, tt.want, porcupine.CheckOperationsTimeout(model(tt.of), tt.history, time.Minute))
		})
	}
}
