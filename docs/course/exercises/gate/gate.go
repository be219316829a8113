// Package gate shows whether the processes of an exercise run at the same time: the
// test holds them up until all of them are there. It also sees whether they wait for a
// lock.
package gate

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/go-multiproc/multiproc/proc"
)

// variable names the file that is the gate, in the environment of a test's children.
const variable = "EXERCISE_GATE"

// patience is how long an exercise may take. A test needs a second or two.
const patience = 20 * time.Second

// Pass holds a child up until its test opens the gate. It is called ahead of proc.Main.
func Pass() {
	name := os.Getenv(variable)
	if name == "" {
		return // no child, or nobody wants it to wait
	}
	f, err := os.Open(name)
	if err != nil {
		panic(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_SH); err != nil {
		panic(err)
	}
}

// Hold calls run in a goroutine, and holds up the processes that it starts until there
// are n of them. Then it lets them go, and returns; the error of run comes through the
// channel. The test fails if there are never so many at once.
func Hold(t *testing.T, n int, run func(ctx context.Context) error) (ended <-chan error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "gate")
	gate, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer gate.Close() // opens it
	if err := syscall.Flock(int(gate.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	t.Setenv(variable, name)

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	end := make(chan error, 1)
	go func() { end <- run(ctx) }()
	for len(proc.Children()) < n {
		select {
		case err := <-end:
			t.Fatalf("it has returned before %d processes ran at the same time; its error: %v", n, err)
		case <-ctx.Done():
			t.Fatalf("%d of %d processes were started in %v: are all of them started before anything is waited for?",
				len(proc.Children()), n, patience)
		case <-time.After(time.Millisecond):
		}
	}
	return end
}

// AwaitSleepers returns when each child sleeps in the kernel until it gets a lock, or
// when astray says that one has not asked for it.
func AwaitSleepers(t *testing.T, astray func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !astray() && !sleepers(t); <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after %v some process neither waits for the lock nor goes on without it", patience)
		}
	}
}

func sleepers(t *testing.T) bool {
	for _, p := range proc.Children() {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", p.Pid()))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(threads, inSharedFutex) {
			return false
		}
	}
	return true
}

// inSharedFutex reports whether a thread sleeps on memory that processes share. Go's
// own sleeps are of one process, and say so.
func inSharedFutex(thread string) bool {
	const waitv, private = 449, 128 // Linux has this number for futex_waitv on all processors
	text, _ := os.ReadFile(thread)  // one that has just ended cannot be read
	var call, word, op uint64
	_, _ = fmt.Sscanf(string(text), "%d 0x%x 0x%x", &call, &word, &op) // "running" is no call
	return call == waitv || call == syscall.SYS_FUTEX && op&private == 0
}
