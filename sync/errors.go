package sync

import (
	"errors"
	"fmt"
)

// ErrOwnerDied is told to the next one that takes a lock whose holder died. The
// lock is then held, and what it guards may be half-changed: repair it and call
// MarkConsistent. Unlocked without that, the lock tells the next one too.
//
// Errors that match it are of type [*OwnerDiedError].
var ErrOwnerDied = errors.New("the process that held the lock died")

// An OwnerDiedError says who died while holding a lock. It matches
// [ErrOwnerDied].
type OwnerDiedError struct {
	// Pid is the process that died; 0 if it is no longer known, because
	// somebody else was told before and did not mark the lock consistent, or
	// because its place among the processes was taken anew.
	Pid int
}

// Error names the process if it is known.
func (e *OwnerDiedError) Error() string {
	if e.Pid == 0 {
		return "psync: " + ErrOwnerDied.Error()
	}
	return fmt.Sprintf("psync: %v (pid %d)", ErrOwnerDied, e.Pid)
}

// Is makes the error match ErrOwnerDied.
func (e *OwnerDiedError) Is(target error) bool { return target == ErrOwnerDied }
