package roster

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// Tests end threads, which Go does not do with the first one: let it run
// nothing but TestMain.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) { proctest.Main(m) }

// calls are the system calls that a member can be made to live without.
var calls = map[string]uint32{
	"openat":          unix.SYS_OPENAT,
	"pidfd_open":      unix.SYS_PIDFD_OPEN,
	"set_robust_list": unix.SYS_SET_ROBUST_LIST,
}

// member joins the table at the path that is its first argument, and does what
// it is told. Further arguments name the system calls that are refused to it.
var member = proctest.Register("member", func(h *proctest.Helper) error {
	if err := refuseAll(h.Args[1:]); err != nil {
		return err
	}
	if !join(h) {
		return nil
	}
	order, err := h.Listen()
	if err != nil {
		return err
	}
	switch order {
	case "exit":
		os.Exit(0)
	case "exec of a shell":
		return unix.Exec("/bin/sh", []string{"sh", "-c", "echo still here; read line"}, os.Environ())
	case "exec of a busy shell": // which waits for its children without interruption, as for a disk
		return unix.Exec("/bin/sh", []string{"sh", "-c", "echo still here; while :; do /bin/true; done"}, os.Environ())
	case "exec of a Go program":
		return unix.Exec("/proc/self/exe", []string{"proctest:successor", "0"}, os.Environ())
	}
	return nil // the order is to return
})

func refuseAll(names []string) error {
	for _, name := range names {
		if err := proctest.Refuse(calls[name], unix.EPERM); err != nil {
			return fmt.Errorf("refuse %s: %w", name, err)
		}
	}
	return nil
}

// successor is a program with many threads that a member turns into.
var successor = proctest.Register("successor", func(h *proctest.Helper) error {
	h.Say("still here")
	_, err := h.Listen()
	return err
})

// join joins the table at the path that is the helper's first argument, and
// tells the test how that went.
func join(h *proctest.Helper) bool {
	if err := os.Setenv(Variable, h.Args[0]); err != nil {
		h.Say(err.Error())
		return false
	}
	id, err := Join()
	if err != nil {
		h.Say(err.Error())
		return false
	}
	h.Say(fmt.Sprint("joined as ", uint32(id)))
	return true
}

// admitted returns the identity of a helper that joins.
func admitted(t *testing.T, p *proctest.Proc) ID {
	t.Helper()
	line := p.Line(t)
	var id ID
	_, err := fmt.Sscanf(line, "joined as %d", &id)
	require.NoError(t, err, line)
	return id
}

// directory makes one that the leak checks know as ours. It lies where rosters
// lie: not every file system has what they need.
func directory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "multiproc-test-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

// newTable makes a table of n slots and has this process look at it, without a
// slot of its own. Helpers join it by its path.
func newTable(t *testing.T, n int) (tab *table, path string) {
	t.Helper()
	path = filepath.Join(directory(t), "roster")
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	require.NoError(t, err)
	require.NoError(t, format(file, n))
	tab, err = load(file)
	require.NoError(t, err)
	require.Len(t, tab.slots, n)
	joined.Store(tab)
	t.Cleanup(func() {
		joined.Store(nil)
		require.NoError(t, tab.close())
	})
	return tab, path
}

// memfd makes shared memory that a helper can be given.
func memfd(t *testing.T, size int64) *os.File {
	t.Helper()
	fd, err := unix.MemfdCreate("roster-test", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	file := os.NewFile(uintptr(fd), "roster-test")
	t.Cleanup(func() { require.NoError(t, file.Close()) })
	require.NoError(t, file.Truncate(size))
	return file
}

// start starts a member and returns its identity as well.
func start(t *testing.T, path string, refused ...string) (*proctest.Proc, ID) {
	t.Helper()
	p := member.Start(t, nil, append([]string{path}, refused...)...)
	return p, admitted(t, p)
}

// watch begins to sleep on the liveness word until id is dead, and returns when
// the sleeper sleeps. The channel is closed at its end.
func watch(t *testing.T, id ID) <-chan struct{} {
	t.Helper()
	woken, threads := make(chan struct{}), make(chan int)
	go func() {
		defer close(woken)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		threads <- unix.Gettid()
		for s := Look(id); s.Alive; s = Look(id) {
			if futex.Wait(s.Word, s.Seen, 0) != nil {
				return
			}
		}
	}()
	inState(t, fmt.Sprintf("/proc/%d/stat", <-threads), "S")
	return woken
}

// await fails the test if nothing comes.
func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(time.Minute):
		t.Fatal("waited a minute for " + what)
	}
}

// inState waits until the process or thread is in one of the given states, or
// gone.
func inState(t *testing.T, path, states string) {
	t.Helper()
	until(t, func() bool {
		st, err := readStat(path)
		return err != nil || strings.IndexByte(states, st.state) >= 0
	})
}

// until waits for what cannot be waited for otherwise.
func until(t *testing.T, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		<-tick.C
	}
}

// indexes returns the slots of ids, in order.
func indexes(ids ...ID) (slots []int) {
	for _, id := range ids {
		slots = append(slots, id.index())
	}
	slices.Sort(slots)
	return slots
}
