package roster

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"
)

// A stat is what we need of /proc/PID/stat and /proc/PID/task/TID/stat, see
// proc_pid_stat(5). Of a process it describes the first thread.
type stat struct {
	state   byte
	flags   uint64 // of the kernel's task
	threads int    // of the process, those that have ended but for their record included
	start   uint64 // in clock ticks after boot
	stack   uint64 // where the program's stack began; 0 if the kernel does not tell
	pending uint64 // signals for this thread that it has not taken yet
}

// exiting reports whether the thread has begun to exit.
func (s stat) exiting() bool {
	const exiting = 0x4 // PF_EXITING of include/linux/sched.h
	return s.flags&exiting != 0
}

// killed reports whether the thread has still to take its SIGKILL.
func (s stat) killed() bool { return s.pending&(1<<(unix.SIGKILL-1)) != 0 }

// readStat goes without package os: it is on the way to a lock whose holder
// died, once for each thread.
func readStat(path string) (stat, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return stat{}, err
	}
	defer func() { _ = unix.Close(fd) }() // opened for reading
	var text [2048]byte                   // 52 fields of at most 20 digits, and a name
	n, err := unix.Read(fd, text[:])
	if err != nil {
		return stat{}, err
	}
	return parseStat(text[:n])
}

// gone reports whether a file of /proc could not be read because the process or
// thread has ended.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// parseStat starts after the last parenthesis: the name between may hold
// anything. The fields are counted from 3, the state.
func parseStat(text []byte) (stat, error) {
	var s stat
	number := 3
	var err error
	for field := range bytes.FieldsSeq(text[bytes.LastIndexByte(text, ')')+1:]) {
		switch number {
		case 3:
			s.state = field[0]
		case 9:
			s.flags, err = strconv.ParseUint(string(field), 10, 64)
		case 20:
			s.threads, err = strconv.Atoi(string(field))
		case 22:
			s.start, err = strconv.ParseUint(string(field), 10, 64)
		case 28:
			s.stack, err = strconv.ParseUint(string(field), 10, 64)
		case 31:
			s.pending, err = strconv.ParseUint(string(field), 10, 64)
		}
		if err != nil {
			break
		}
		number++
	}
	if err != nil || number <= 31 {
		return stat{}, fmt.Errorf("malformed stat %q", text)
	}
	return s, nil
}

// exists reports whether the process that started at start still has the pid
// and a thread that has not ended; the first may end long before the others.
// Where /proc is missing or hides the process it goes by the pid alone.
func exists(pid int, start uint64) bool {
	st, err := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return unix.Kill(pid, 0) == nil
	}
	return (st.start == start || start == 0) && (st.threads > 1 || st.state != 'Z' && st.state != 'X')
}
