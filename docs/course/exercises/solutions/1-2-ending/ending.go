// Package ending is a solution of exercise 1.2.
package ending

import (
	"errors"
	"fmt"

	"github.com/go-multiproc/multiproc/proc"
)

// Ending says how a process ended, from the error of Join: one of
//
//	returned
//	failed: no such number
//	panicked: index out of range
//	killed by signal 9
//	exited with status 3
//
// The texts are those of the error or the panic, as the function had them, without
// where they come from. The errors that Join returns are described in package proc:
// RemoteError, PanicError, ExitError.
func Ending(err error) string {
	var (
		remote   *proc.RemoteError
		panicked *proc.PanicError
		exit     *proc.ExitError
	)
	switch {
	case errors.As(err, &remote):
		return "failed: " + remote.Text
	case errors.As(err, &panicked):
		return "panicked: " + panicked.Value
	case errors.As(err, &exit) && exit.Code < 0:
		return fmt.Sprintf("killed by signal %d", -exit.Code)
	case errors.As(err, &exit):
		return fmt.Sprintf("exited with status %d", exit.Code)
	default:
		return "returned"
	}
}
