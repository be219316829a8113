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
	finish(ops)
	return ops
}

const plain, recursive = false, true

// The checker accepts what may happen and refuses what must not.
func TestChecker(t *testing.T) {
	for _, tt := range []struct {
		name      string
		recursive bool
		want      porcupine.CheckResult
		history   []porcupine.Operation
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
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, porcupine.CheckOperationsTimeout(model(tt.recursive), tt.history, time.Minute))
		})
	}
}
