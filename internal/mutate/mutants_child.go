package main

const inheriting = "internal/inherit"

// childMutants break whom a child believes, how it ends, and what it takes from a peer.
var childMutants = []mutant{
	{
		name:  "child: another user may command a setuid program",
		edits: []edit{{inheriting + "/rights.go", "return int(parent.Uid) == uid && ", "return "}},
		pkg:   inheriting, test: "TestEquals",
	},
	{
		name:  "child: another group may command a setgid program",
		edits: []edit{{inheriting + "/rights.go", " && int(parent.Gid) == gid && ", " && "}},
		pkg:   inheriting, test: "TestEquals",
	},
	{
		name:  "child: anybody may command a program with capabilities",
		edits: []edit{{inheriting + "/rights.go", " == gid && !byFile", " == gid"}},
		pkg:   inheriting, test: "TestEquals",
	},
	{
		name:  "child: the kernel may have forgotten the parent",
		edits: []edit{{inheriting + "/inherit.go", "\tfollowParent(int(peer.Pid))\n", ""}},
		pkg:   inheriting, test: "TestParentDeathSignal",
	},
	{
		name:  "child: who has SIGTERM ignored does not end by it",
		edits: []edit{{proc + "/child.go", "signal.Notify(make(chan os.Signal, 1), s)\n\tsignal.Reset(s)", "signal.Reset(s)"}},
		pkg:   proc, test: "TestIgnoredTerminate", limit: hang,
	},
	{
		name:  "child: an error that panics is no panic",
		edits: []edit{{proc + "/child.go", "result, err := fn.run(ctx, arg)\n", "result, err := fn.run(ctx, arg)\n\treturned = true\n"}},
		pkg:   proc, test: "TestErrorThatPanics",
	},
	{
		name:  "child: a result that cannot be sent has no reason",
		edits: []edit{{proc + "/child.go", "if conn.Written() != before {", "if conn.Written() >= before {"}},
		pkg:   proc, test: "TestResultThatCannotBeSent",
	},
	{
		name:  "wire: a peer may have receiving wait in the kernel",
		edits: []edit{{"internal/wire/conn.go", "unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT", "unix.MSG_CMSG_CLOEXEC"}},
		pkg:   "internal/wire", test: "TestConnThatBlocks", limit: hang,
	},
	{
		name:  "wire: a peer may have sending wait in the kernel",
		edits: []edit{{"internal/wire/conn.go", "unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT", "unix.MSG_NOSIGNAL"}},
		pkg:   "internal/wire", test: "TestConnThatBlocks", limit: hang,
	},
	{
		name:  "wire: a broken pipe may be a signal",
		edits: []edit{{"internal/wire/conn.go", "n, err := c.writeMsg(b[done:], nil)", "n, err := c.file.Write(b[done:])"}},
		pkg:   proc, test: "TestConnAsStandardError",
	},
	{
		name:  "wire: what names a process stays open",
		edits: []edit{{"internal/wire/receive.go", "_ = unix.Close(int(int32(binary.NativeEndian.Uint32(fd))))", "_ = binary.NativeEndian.Uint32(fd)"}},
		pkg:   "internal/wire", test: "TestConnThatNamesProcesses",
	},
}
