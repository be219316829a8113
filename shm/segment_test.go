package shm

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func TestCreateSizes(t *testing.T) {
	for _, size := range []int{0, 1, 100, 4095, 4096, 4097, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			proctest.NoLeaks(t)
			s, err := Create("sizes", size)
			require.NoError(t, err)
			require.Equal(t, "sizes", s.Name())
			require.Equal(t, size, s.Size())
			info, err := s.File().Stat()
			require.NoError(t, err)
			require.EqualValues(t, headerSize+size, info.Size())

			b, err := PlaceSlice[byte](s, 0, size)
			require.NoError(t, err)
			require.Len(t, b, size)
			require.Equal(t, make([]byte, size), b)
			for i := range b {
				b[i] = 0xff
			}
			require.Equal(t, 1, mapped(t, "sizes"))
			require.NoError(t, s.Close())
			require.Zero(t, mapped(t, "sizes"))
		})
	}
}

func TestCreateRefuses(t *testing.T) {
	proctest.NoLeaks(t)
	for _, tt := range []struct {
		what string
		name string
		size int
		want error
	}{
		{"negative size", "x", -1, ErrSize},
		{"size beyond int with the header", "x", math.MaxInt - headerSize + 1, ErrSize},
		{"size beyond the address space", "x", 1 << 55, unix.ENOMEM},
		{"long name", strings.Repeat("n", 250), 1, unix.EINVAL},
		{"zero byte in the name", "a\x00b", 1, unix.EINVAL},
	} {
		t.Run(tt.what, func(t *testing.T) {
			_, err := Create(tt.name, tt.size)
			require.ErrorIs(t, err, tt.want)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, "create", e.Op)
			require.Equal(t, tt.name, e.Name)
			require.Equal(t, 1, strings.Count(err.Error(), "shm: "), err)
		})
	}
	require.Empty(t, mappings.byKey)
}

func TestLongestName(t *testing.T) {
	name := strings.Repeat("n", 249)
	s, err := Create(name, 1)
	require.NoError(t, err)
	require.Equal(t, 1, mapped(t, name))
	require.NoError(t, s.Close())
}

func TestFileIsSealedAndCloseOnExec(t *testing.T) {
	s := testSegment(t, 100)
	require.ErrorIs(t, s.File().Truncate(headerSize), os.ErrPermission)
	require.ErrorIs(t, s.File().Truncate(1<<20), os.ErrPermission)
	require.NoError(t, control(s.File(), func(fd int) error {
		seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
		require.NoError(t, err)
		require.Equal(t, fixed, seals&fixed)
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.Equal(t, unix.FD_CLOEXEC, flags)
		return nil
	}))
}

func TestCloseSegment(t *testing.T) {
	proctest.NoLeaks(t)
	s, err := Create("once", 8)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	err = s.Close()
	require.ErrorIs(t, err, ErrClosed)
	require.EqualError(t, err, `shm: segment "once": close: closed`)
	require.Nil(t, s.File())
	require.Equal(t, 8, s.Size())
	require.Equal(t, "once", s.Name())
	_, err = Place[int64](s, 0)
	require.ErrorIs(t, err, ErrClosed)
	_, err = PlaceSlice[int64](s, 0, 1)
	require.ErrorIs(t, err, ErrClosed)
}

func TestOneMappingHoweverOftenAttached(t *testing.T) {
	proctest.NoLeaks(t)
	s, err := Create("once", 64)
	require.NoError(t, err)
	first, err := Place[int64](s, 8)
	require.NoError(t, err)

	dup, err := duplicate(s.File()) // another descriptor of the same file
	require.NoError(t, err)
	var all []*Segment
	for _, f := range []*os.File{s.File(), dup, dup} {
		a, err := Attach(f)
		require.NoError(t, err)
		p, err := Place[int64](a, 8)
		require.NoError(t, err)
		require.Same(t, first, p)
		all = append(all, a)
	}
	require.NoError(t, dup.Close())
	require.Equal(t, 1, mapped(t, "once"))

	require.NoError(t, s.Close()) // whoever made it has no privilege
	*first = 7
	for i, a := range all {
		require.Equal(t, 1, mapped(t, "once"))
		p, err := Place[int64](a, 8)
		require.NoError(t, err)
		require.EqualValues(t, 7+i, *p)
		*p++
		require.NoError(t, a.Close())
	}
	require.Zero(t, mapped(t, "once"))
	require.Empty(t, mappings.byKey)
}

func TestAttachAndCloseAtTheSameTime(t *testing.T) {
	proctest.NoLeaks(t)
	s := testSegment(t, 64)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				a, err := Attach(s.File())
				if err != nil {
					t.Error(err)
					return
				}
				p, err := Place[[8]byte](a, 0)
				if err != nil || p[0] != 0 {
					t.Error(err, p)
				}
				if err := a.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, mapped(t, "test"))
}

var attacher = proctest.Register("attacher", func(h *proctest.Helper) error {
	s, err := Attach(h.Files[0])
	if err != nil {
		return err
	}
	if err := h.Files[0].Close(); err != nil { // the segment has its own
		return err
	}
	v, err := PlaceSlice[int64](s, 16, 3)
	if err != nil {
		return err
	}
	h.Say(fmt.Sprint(s.Size(), v))
	for i := range v {
		v[i] *= 10
	}
	return s.Close()
})

func TestAttachInAnotherProcess(t *testing.T) {
	proctest.NoLeaks(t)
	s := testSegment(t, 40)
	v, err := PlaceSlice[int64](s, 16, 3)
	require.NoError(t, err)
	copy(v, []int64{1, -2, 3})
	p := attacher.Start(t, []*os.File{s.File()})
	p.Expect(t, "40 [1 -2 3]")
	require.NoError(t, p.Wait(t))
	require.Equal(t, []int64{10, -20, 30}, v)
}

// starved has no descriptor left. What fails for that must leave nothing.
var starved = proctest.Register("starved", func(h *proctest.Helper) error {
	s, err := Create("before", 8) // joins the roster
	if err != nil {
		return err
	}
	dup, err := duplicate(s.File())
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	free, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0) // the lowest number that is free
	if err != nil {
		return err
	}
	if err := unix.Close(free); err != nil {
		return err
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return err
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(free), Max: old.Max}); err != nil {
		return err
	}
	_, attachErr := Attach(dup)
	_, createErr := NewArray[int64](3, nil)
	h.Say(fmt.Sprint(attachErr))
	h.Say(fmt.Sprint(createErr))
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &old); err != nil {
		return err
	}
	if len(mappings.byKey) != 0 {
		return fmt.Errorf("%d mappings are left", len(mappings.byKey))
	}
	s, err = Attach(dup)
	if err != nil {
		return err
	}
	return s.Close()
})

func TestNoDescriptorsLeft(t *testing.T) {
	p := starved.Start(t, nil)
	p.Expect(t, `shm: segment "before": attach: duplicate the descriptor: too many open files`)
	p.Expect(t, `shm: array "int64": create: memfd_create "int64": too many open files`)
	require.NoError(t, p.Wait(t))
}

// smallFiles makes a queue in a process whose files must be small.
var smallFiles = proctest.Register("small files", func(h *proctest.Helper) error {
	small := unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}
	if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &small); err != nil {
		return err
	}
	_, err := NewQueue[int](100_000, nil)
	h.Say(fmt.Sprint(errors.Is(err, unix.EFBIG), " ", err))
	s, err := Create("small", 10_000)
	if err != nil {
		return err
	}
	return s.Close()
})

// Who may have small files only gets an error.
func TestLimitOfFiles(t *testing.T) {
	proctest.NoLeaks(t)
	p := smallFiles.Start(t, nil)
	require.Regexp(t, `^true shm: queue "int": create: .* file too large`, p.Line(t))
	require.NoError(t, p.Wait(t))
}

// A memfd of huge pages is refused: there may be no page for an access to a hole.
func TestAttachRefusesHugePages(t *testing.T) {
	fd, err := unix.MemfdCreate("huge", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING|unix.MFD_HUGETLB)
	if err != nil {
		return // the kernel has none
	}
	f := os.NewFile(uintptr(fd), "huge")
	closing(t, f)
	require.NoError(t, f.Truncate(2<<20))
	_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW)
	require.NoError(t, err)
	_, err = Attach(f)
	require.ErrorIs(t, err, ErrLayout)
	require.ErrorContains(t, err, "a memfd of huge pages")
}
