package roster

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// From include/uapi/linux/membarrier.h.
const (
	membarrierGlobalExpedited         = 1 << 1
	membarrierRegisterGlobalExpedited = 1 << 2
)

func membarrier(command uintptr) bool {
	_, _, errno := unix.RawSyscall(unix.SYS_MEMBARRIER, command, 0, 0)
	return errno == 0
}

// registerMembarrier lets other processes interrupt this one's threads.
func registerMembarrier() bool { return membarrier(membarrierRegisterGlobalExpedited) }

// The kernel walks robust lists per thread, so the mark on the liveness word
// says that the keeper has ended, and that SIGKILL is posted to its siblings;
// a sibling may still run until its interrupt comes, or sit in a system call
// that goes on writing.
//
// fence waits for them in two parts. The barrier interrupts every processor
// that runs a thread of the dead process; a doomed thread never returns to user
// mode from an interrupt. Then the threads' states are read until each has
// begun to exit. Where either part is refused, the process's end is awaited.
func fence(pid int, start uint64, flags uint32) {
	if pid == 0 || pid == os.Getpid() {
		return
	}
	if flags&flagMembarrier == 0 || !membarrier(membarrierGlobalExpedited) {
		awaitEnd(pid, start)
		return
	}
	for wait := 10 * time.Microsecond; ; wait = min(2*wait, time.Millisecond) {
		stopped, err := threadsExiting(pid, start)
		if err != nil {
			awaitEnd(pid, start)
			return
		}
		if stopped {
			return
		}
		time.Sleep(wait)
	}
}

// threadsExiting reports whether each thread of the process has begun to exit
// (the kernel's flag PF_EXITING, which is set before memory is torn down) or
// has gone. A thread that is listed can no longer start others: it is dying.
//
// A directory that shrinks while it is read may hide a thread that still runs,
// so the list counts only if it is as long as the number of threads read
// before it.
func threadsExiting(pid int, start uint64) (bool, error) {
	process, err := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, fs.ErrNotExist) && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
		return true, nil // and not only hidden by the mount option hidepid
	}
	if err != nil {
		return false, err
	}
	if process.start != start {
		return true, nil // the pid belongs to a younger process
	}
	tasks := fmt.Sprintf("/proc/%d/task", pid)
	dir, err := os.Open(tasks)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	tids, err := dir.Readdirnames(-1)
	_ = dir.Close() // opened for reading
	if err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if len(tids) < process.threads {
		return false, nil
	}
	for _, tid := range tids {
		thread, err := readStat(tasks + "/" + tid + "/stat")
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return false, err
		}
		const exiting = 0x4 // PF_EXITING of include/linux/sched.h
		if thread.flags&exiting == 0 {
			return false, nil
		}
	}
	return true, nil
}

// awaitEnd waits until the process has ended with all its threads. Where the
// kernel offers no pidfd either, all that is left is to give the threads of a
// killed process time to stop: a second, many times what they need.
func awaitEnd(pid int, start uint64) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return
	}
	if err != nil {
		time.Sleep(time.Second)
		return
	}
	defer func() { _ = unix.Close(pidfd) }()
	if !exists(pid, start) {
		return
	}
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// exists reports whether the process that started at start still has the pid
// and a thread that has not ended; the first may end long before the others.
// Where /proc is missing or hides the process it goes by the pid alone.
func exists(pid int, start uint64) bool {
	st, err := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return unix.Kill(pid, 0) == nil
	}
	return st.start == start && (st.threads > 1 || st.state != 'Z' && st.state != 'X')
}

// startTime is 0 where /proc is missing.
func startTime(pid int) uint64 {
	st, err := readStat(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	return st.start
}

// A stat is what we need of /proc/PID/stat, see proc_pid_stat(5).
type stat struct {
	state   byte
	flags   uint64
	threads int
	start   uint64
}

func readStat(path string) (stat, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return stat{}, err
	}
	return parseStat(text)
}

// parseStat starts after the last parenthesis: the name between may hold
// anything. The fields are counted from 3, the state.
func parseStat(text []byte) (stat, error) {
	malformed := fmt.Errorf("malformed stat %q", text)
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 20 {
		return stat{}, malformed
	}
	flags, err1 := strconv.ParseUint(string(fields[9-3]), 10, 64)
	threads, err2 := strconv.Atoi(string(fields[20-3]))
	start, err3 := strconv.ParseUint(string(fields[22-3]), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return stat{}, malformed
	}
	return stat{state: fields[0][0], flags: flags, threads: threads, start: start}, nil
}
