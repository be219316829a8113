// Package inherit takes over what the parent process hands down, before main
// and before every package that imports this module.
//
// A child is started with two descriptors and one environment variable that
// names them. They are believed only if the socket's other end was made by this
// process's own parent, with the rights that this process has; then they are closed
// on exec, and what else came along from the parent is closed at once. Either way the
// variable is removed. So a program which the child starts after that sees none of
// it. (Go initialises packages that do not depend on each other in the order of their
// paths: one that does not import this module, and starts programs while it is
// initialised, may come first.)
package inherit

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// variable is read once, here, and removed.
const variable = "MULTIPROC_CHILD"

// Inherited is what a child was given. The descriptors are this process's own
// and stay open for its life.
type Inherited struct {
	Control int // a stream socket to the parent: the start message, the result, the lifeline
	Roster  int // the roster that the parent is in
}

var (
	inherited *Inherited
	refused   bool
)

func init() {
	value, present := os.LookupEnv(variable)
	if !present {
		return
	}
	_ = os.Unsetenv(variable) // fails for malformed names only
	refused = true
	var in Inherited
	if _, err := fmt.Sscanf(value, "%d,%d", &in.Control, &in.Roster); err != nil {
		return
	}
	peer, err := unix.GetsockoptUcred(in.Control, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil || int(peer.Pid) != os.Getppid() || !mayCommand(peer) {
		return
	}
	followParent(int(peer.Pid))
	unix.CloseOnExec(in.Control)
	unix.CloseOnExec(in.Roster)
	closeOthers()
	inherited, refused = &in, false
}

// followParent asks the kernel to kill this process when its parent ends. The parent
// did so already, but the kernel forgets it when a program begins that has more rights
// than who starts it.
func followParent(parent int) {
	if unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0) == nil && os.Getppid() != parent {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL) // it has ended before: always allowed
	}
}

// closeOthers closes the descriptors that the parent, or who started that, did
// not mark as closed on exec. The mark tells them from those that this process
// has opened itself: what Go opens has it. Nothing tells them from a descriptor
// that a C library opened before now without the mark, so that is closed, too,
// and its number goes to another file. To keep them instead would be worse: a pipe
// of the parent's that the child keeps open never comes to its end.
func closeOthers() {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return // children need /proc: the parent has found this program there
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= 2 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			_ = unix.Close(fd) // nothing was written through it
		}
	}
}

// Get returns what the parent handed down, nil in a process that was not
// started by this module.
func Get() *Inherited { return inherited }

// Refused reports whether the variable was there and was not believed. Such a
// process must not run as if a user had started it: it may be a child whose
// parent cannot be verified here, and would start children of its own.
func Refused() bool { return refused }

// Environ returns the entry of the environment that tells a child which of its
// descriptors are the two.
func Environ(in Inherited) string {
	return fmt.Sprintf("%s=%d,%d", variable, in.Control, in.Roster)
}
