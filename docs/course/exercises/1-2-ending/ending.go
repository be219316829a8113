// Package ending is exercise 1.2: how did it end?
package ending

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
	return "not solved yet"
}
