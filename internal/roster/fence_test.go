package roster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/proctest"
)

// storer is a member with a thread that does nothing but store into the shared
// page.
var storer = proctest.Register("storer", func(h *proctest.Helper) error {
	words, err := mapWords(h.Files[0])
	if err != nil {
		return err
	}
	join(h)
	go func() {
		runtime.LockOSThread()
		for {
			words[0].Add(1)
		}
	}()
	_, err = h.Listen()
	return err
})

// reader is a member with a thread inside one long system call that fills
// shared memory.
var reader = proctest.Register("reader", func(h *proctest.Helper) error {
	target, err := mapTarget(h.Files[0])
	if err != nil {
		return err
	}
	join(h)
	if _, err := h.Listen(); err != nil {
		return err
	}
	go func() {
		runtime.LockOSThread()
		if _, err := unix.Pread(int(h.Files[1].Fd()), target, 0); err != nil {
			panic(err)
		}
	}()
	_, err = h.Listen()
	return err
})

// fencer fences in the place of the test, without some system calls.
var fencer = proctest.Register("fencer", func(h *proctest.Helper) error {
	file, err := os.OpenFile(h.Args[0], os.O_RDWR, 0)
	if err != nil {
		return err
	}
	tab, err := load(file)
	if err != nil {
		return err
	}
	joined.Store(tab)
	if err := refuseAll(h.Args[1:]); err != nil {
		return err
	}
	h.Say("ready")
	line, err := h.Listen()
	if err != nil {
		return err
	}
	var id ID
	if _, err := fmt.Sscan(line, &id); err != nil {
		return err
	}
	_ = Fence(context.Background(), id)
	h.Say("fenced")
	return nil
})

const targetSize = 64 << 20

// mapTarget maps what the reader fills, every page of it.
func mapTarget(file *os.File) ([]byte, error) {
	return unix.Mmap(int(file.Fd()), 0, targetSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
}

// A writer is a member that writes into shared memory until it is killed.
type writer interface {
	start(t *testing.T, path string) (*proctest.Proc, ID)
	progress() uint64 // changes with every byte written
}

// stores is a writer that stores.
type stores struct {
	page  *os.File
	words []atomic.Uint32
}

func newStores(t *testing.T) writer {
	page := memfd(t, int64(unix.Getpagesize()))
	words, err := mapWords(page)
	require.NoError(t, err)
	return stores{page, words}
}

func (w stores) progress() uint64 { return uint64(w.words[0].Load()) }

func (w stores) start(t *testing.T, path string) (*proctest.Proc, ID) {
	p := storer.Start(t, []*os.File{w.page}, path)
	id := admitted(t, p)
	before := w.progress()
	until(t, func() bool { return w.progress() != before })
	return p, id
}

// reads is a writer whose kernel writes: zeros, from the first byte to the last.
type reads struct {
	file, source *os.File
	target, ones []byte
}

func newReads(t *testing.T) writer {
	w := reads{
		file:   memfd(t, targetSize),
		source: memfd(t, targetSize),
		ones:   bytes.Repeat([]byte{1}, targetSize),
	}
	var err error
	w.target, err = mapTarget(w.file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(w.target)) })
	return w
}

func (w reads) progress() uint64 {
	return uint64(sort.Search(targetSize, func(i int) bool { return w.target[i] != 0 }))
}

func (w reads) start(t *testing.T, path string) (*proctest.Proc, ID) {
	copy(w.target, w.ones)
	p := reader.Start(t, []*os.File{w.file, w.source}, path)
	id := admitted(t, p)
	p.Tell(t, "read")
	for w.target[0] != 0 {
		runtime.Gosched()
	}
	return p, id
}

// A fenceCase says who has to do without what.
type fenceCase struct {
	name    string
	fencer  []string // the system calls that are refused to it; without openat it sees no /proc
	zombies bool     // the writer's first thread is to end before the fence
}

func TestFence(t *testing.T) {
	kills, moved := 0, 0
	for name, newWriter := range map[string]func(*testing.T) writer{"stores": newStores, "reads": newReads} {
		for _, tt := range []fenceCase{
			{"ordinary", nil, false},
			{"first thread has ended", nil, true},
			{"without /proc", []string{"openat"}, false},
			{"without /proc and first thread", []string{"openat"}, true},
		} {
			t.Run(name+"/"+tt.name, func(t *testing.T) {
				moved += testFence(t, newWriter(t), tt, rounds)
				kills += rounds
			})
		}
	}
	proctest.Verified(t, "crash", "not a byte changes after the fence", "%d writers killed, of which %d still wrote between the mark and the fence", kills, moved)
}

// TestFenceByTime has neither /proc nor a descriptor of the process to wait on,
// so it waits for a second.
func TestFenceByTime(t *testing.T) {
	testFence(t, newReads(t), fenceCase{fencer: []string{"openat", "pidfd_open"}}, 1)
}

// testFence kills a writer and sees that after the fence not one byte changes.
// When the process is reaped nothing of it can write any more. It returns in how
// many rounds the writer wrote between the mark and the fence.
func testFence(t *testing.T, w writer, c fenceCase, rounds int) (moved int) {
	_, path := newTable(t, 2)
	for range rounds {
		fence := fencing(t, path, c.fencer)
		p, id := w.start(t, path)
		s := Look(id)
		require.NoError(t, p.Signal(unix.SIGKILL))
		for s.Word.Load() == s.Seen {
			require.NoError(t, futex.Wait(s.Word, s.Seen, 0))
		}
		if c.zombies {
			inState(t, fmt.Sprintf("/proc/%d/stat", p.Pid()), "ZX")
		}
		marked := w.progress()
		fence(id)
		fenced := w.progress()
		p.Kill(t)
		require.Equal(t, fenced, w.progress(), "written after the fence")
		if fenced != marked {
			moved++
		}
	}
	return moved
}

// TestPartialListOfThreads: a directory that shrinks while it is read may hide a
// thread that still runs. A list that is shorter than the number of threads read
// before says nothing, although each thread in it has begun to exit.
func TestPartialListOfThreads(t *testing.T) {
	directory := t.TempDir()
	thread := func(tid, flags int) {
		require.NoError(t, os.Mkdir(fmt.Sprintf("%s/%d", directory, tid), 0o700))
		stat := fmt.Sprintf("%d (thread) R 1 1 1 0 -1 %d%s", tid, flags, strings.Repeat(" 0", 30))
		require.NoError(t, os.WriteFile(fmt.Sprintf("%s/%d/stat", directory, tid), []byte(stat), 0o600))
	}
	const exiting = 0x4
	thread(11, exiting)
	for count, want := range map[int]dying{1: stopped, 2: running} {
		got, err := examineThreads(directory, count)
		require.NoError(t, err)
		require.Equal(t, want, got, "one thread of %d in the list", count)
	}
	thread(12, 0)
	got, err := examineThreads(directory, 2)
	require.NoError(t, err)
	require.Equal(t, unclear, got, "one that nobody has killed")
}

// fencing returns a function that fences, here or in a process that lives
// without some system calls.
func fencing(t *testing.T, path string, refused []string) func(ID) {
	if refused == nil {
		return func(id ID) { _ = Fence(context.Background(), id) }
	}
	p := fencer.Start(t, nil, append([]string{path}, refused...)...)
	p.Expect(t, "ready")
	return func(id ID) {
		p.Tell(t, fmt.Sprint(uint32(id)))
		p.Expect(t, "fenced")
	}
}
