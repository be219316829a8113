package roster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// The kernel walks robust lists per thread, so the mark on the liveness word
// says that the keeper has ended, and that SIGKILL is posted to its siblings;
// a sibling may still run until its interrupt comes, or sit in a system call
// that goes on writing.
//
// fence returns when each thread has begun to exit, from where none returns to
// user mode. Where /proc does not tell, the process's end is awaited.
//
// It looks once in any case, so with a ctx that has ended it asks whether the
// process has stopped.
func fence(ctx context.Context, o owner) error {
	var v vigil
	for looks := 0; !v.over(o); looks++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		nap(looks)
	}
	return nil
}

// A vigil is a series of looks at one dead process.
type vigil struct {
	unclear time.Time // since when no look has shown that a thread may still write; zero: the last one did
}

// over looks once more. It reports whether no thread of the process returns to
// user mode any more.
func (v *vigil) over(o owner) bool {
	if o.pid == 0 || o.pid == os.Getpid() {
		return true
	}
	state, err := examine(o)
	if err != nil || o.start == 0 { // it had no /proc: nothing tells it from a younger process
		state = examineEnd(o)
	}
	switch {
	case state == running:
		v.unclear = time.Time{}
	case v.unclear.IsZero():
		v.unclear = time.Now()
	}
	return state == stopped || state == unclear && time.Since(v.unclear) > patience
}

// patience is many times what the threads of a killed process need to stop. It
// is for what cannot be known.
const patience = time.Second

// nap lets the dying threads have the processor: they need some tens of
// microseconds, less than any timer's grain. Then it sleeps, at most 1 ms, past
// Go's timers, which would round shorter times up to that.
func nap(looks int) {
	const yields = 20
	if looks < yields {
		_, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) // never fails
		return
	}
	ts := unix.NsecToTimespec(min(int64(looks-yields+1)*int64(50*time.Microsecond), int64(time.Millisecond)))
	_ = unix.Nanosleep(&ts, nil) // a signal ends it early: no harm
}

// A dying is what has become of the threads of a dead process.
type dying int

const (
	stopped dying = iota // each has begun to exit, or has gone
	running              // one may still write

	// Some live, and nobody has killed them: the process seems to have replaced
	// its program by another, whose stack we may not see. Between taking its
	// SIGKILL and beginning to exit a thread looks the same, for a moment; in a
	// core dump it is in state D meanwhile. Or nothing can be known.
	unclear
)

// examine looks at the threads. The kernel sets a thread's flag PF_EXITING
// before anything of it is torn down, however much memory the process has.
//
// A directory that shrinks while it is read may hide a thread that still runs,
// so the list counts only if it is as long as the number of threads read
// before it. That number can only fall: a thread with a fatal signal starts no
// others.
//
// A stack that begins elsewhere is another program's, which has nothing of the
// earlier one's memory, and begins when that one's threads have gone. The kernel says 0
// to who may not trace the process, and when its memory has been given back.
func examine(o owner) (dying, error) {
	process, err := readStat(fmt.Sprintf("/proc/%d/stat", o.pid))
	if errors.Is(err, fs.ErrNotExist) && errors.Is(unix.Kill(o.pid, 0), unix.ESRCH) {
		return stopped, nil // and not only hidden by the mount option hidepid
	}
	if err != nil {
		return running, err
	}
	switch {
	case process.start != o.start:
		return stopped, nil // the pid belongs to a younger process
	case process.stack != 0 && o.stack != 0 && process.stack != o.stack:
		return stopped, nil
	case process.threads <= 1 && process.exiting(): // its first thread, the last of all
		return stopped, nil
	}
	return examineThreads(fmt.Sprintf("/proc/%d/task", o.pid), process.threads)
}

func examineThreads(directory string, count int) (dying, error) {
	dir, err := os.Open(directory)
	if gone(err) {
		return stopped, nil
	}
	if err != nil {
		return running, err
	}
	defer func() { _ = dir.Close() }() // opened for reading
	tids, err := dir.Readdirnames(-1)
	if err != nil && !gone(err) {
		return running, err
	}
	if len(tids) < count {
		return running, nil
	}
	state := stopped
	for _, tid := range tids {
		switch thread, err := readStat(directory + "/" + tid + "/stat"); {
		case gone(err) || err == nil && thread.exiting():
		case err != nil || thread.killed() || thread.state == 'D':
			return running, err
		default:
			state = unclear
		}
	}
	return state, nil
}

// examineEnd looks whether the process has ended with all its threads. Where the
// kernel offers no pidfd either, all that is left is to give them time.
func examineEnd(o owner) dying {
	pidfd, err := unix.PidfdOpen(o.pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return stopped
	}
	if err != nil {
		return unclear
	}
	defer func() { _ = unix.Close(pidfd) }()
	if !exists(o.pid, o.start) {
		return stopped
	}
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, 0)
	if n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
		return stopped
	}
	return running
}
