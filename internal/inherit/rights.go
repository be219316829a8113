package inherit

import (
	"os"

	"golang.org/x/sys/unix"
)

// mayCommand reports whether who made the socket has the rights of this process, which
// will run the function that it names. Anybody can be the parent of a program that has
// more rights than who starts it. Of users and groups the kernel has kept which were in
// effect when the socket was made; of capabilities, which a program can have by its
// file, it has not, and the parent may be another program by now.
func mayCommand(parent *unix.Ucred) bool {
	byFile := Elevated() && os.Getuid() != 0 && os.Geteuid() != 0 && capable()
	return equals(parent, os.Geteuid(), os.Getegid(), byFile)
}

// equals reports whether a process of a user and a group has no rights that its parent
// had not. byFile tells that it has capabilities by its program's file.
func equals(parent *unix.Ucred, uid, gid int, byFile bool) bool {
	return int(parent.Uid) == uid && int(parent.Gid) == gid && !byFile
}

// capable reports whether this process has any capability.
func capable() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have [2]unix.CapUserData // the version says that there are two
	return unix.Capget(&header, &have[0]) != nil || have[0].Permitted|have[1].Permitted != 0
}

// Elevated reports whether this program runs with more rights than its caller
// (AT_SECURE): then the caller's environment is not to be believed.
func Elevated() bool {
	const atSecure = 23
	auxv, err := unix.Auxv()
	if err != nil {
		return os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid()
	}
	for _, entry := range auxv {
		if entry[0] == atSecure {
			return entry[1] != 0
		}
	}
	return false
}
