package await

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/futex"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
)

// A result is what Any returned.
type result struct {
	ready []int
	err   error
}

// begin runs Any in a goroutine.
func begin(ctx context.Context, sources []Source) <-chan result {
	done := make(chan result, 1)
	go func() {
		ready, err := Any(ctx, sources)
		done <- result{ready, err}
	}()
	return done
}

func (f *flag) raise() {
	f.word.Store(1)
	futex.Wake(&f.word, futex.All)
}

// An end is a descriptor as a source.
type end struct{ file *os.File }

func (e end) Await(list *List) bool {
	fd := int(e.file.Fd())
	list.WatchDescriptor(Descriptor{FD: fd, Events: unix.POLLIN})
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	return n > 0 || err != nil
}

func pipe(t *testing.T) (r end, w *os.File) {
	t.Helper()
	in, w, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = in.Close()
		_ = w.Close()
	})
	return end{in}, w
}

// A silent source is ready when its flag is set and Notify was called.
type silent struct{ set atomic.Bool }

func (s *silent) Await(*List) bool { return s.set.Load() }

func TestAnyLooksOnce(t *testing.T) {
	proctest.NoLeaks(t)
	all, sources := flags(5)
	ready, err := Any(ended(), sources)
	require.Equal(t, context.Canceled, err)
	require.Empty(t, ready)
	all[1].word.Store(1)
	all[4].word.Store(1)
	for _, ctx := range []context.Context{ended(), context.Background()} {
		ready, err = Any(ctx, sources)
		require.NoError(t, err)
		require.Equal(t, []int{1, 4}, ready)
	}
	ready, err = Any(ended(), nil)
	require.Equal(t, context.Canceled, err)
	require.Empty(t, ready)
}

// Each kind of source, alone and among the others, ends the sleep.
func TestAnyWakes(t *testing.T) {
	proctest.NoLeaks(t)
	for range 20 {
		for _, set := range [][]string{
			{"word"}, {"descriptor"}, {"silent"},
			{"word", "descriptor"}, {"word", "silent"}, {"descriptor", "silent"}, {"word", "descriptor", "silent"},
		} {
			for i, kind := range set {
				words, sources := flags(1)
				r, w := pipe(t)
				quiet := new(silent)
				sources = sources[:0]
				for _, kind := range set {
					sources = append(sources, map[string]Source{"word": words[0], "descriptor": r, "silent": quiet}[kind])
				}
				done := begin(context.Background(), sources)
				switch kind {
				case "word":
					words[0].raise()
				case "descriptor":
					_, err := w.WriteString("x")
					require.NoError(t, err)
				case "silent":
					quiet.set.Store(true)
					Notify()
				}
				require.Equal(t, result{ready: []int{i}}, <-done, "%s of %v", kind, set)
				require.NoError(t, w.Close())
				require.NoError(t, r.file.Close())
			}
		}
	}
	require.Empty(t, waiters.all)
}

// As many threads sleep as there must, each in the right call; one change ends
// them all, and nothing is left.
func TestAnyThreads(t *testing.T) {
	proctest.NoLeaks(t)
	for _, tt := range []struct{ words, descriptors, waitv, poll int }{
		{1, 0, 1, 0},
		{127, 0, 1, 0},
		{128, 0, 2, 0},
		{300, 0, 3, 0},
		{0, 1, 0, 1},
		{0, 300, 0, 1},
		{128, 2, 2, 1},
		{0, 0, 0, 0},
	} {
		for _, victim := range []int{0, tt.words - 1, tt.words, tt.words + tt.descriptors - 1, -1} {
			if victim >= tt.words+tt.descriptors || victim < -1 {
				continue
			}
			before := runtime.NumGoroutine()
			all, sources := flags(tt.words)
			var writers []*os.File
			for range tt.descriptors {
				r, w := pipe(t)
				sources, writers = append(sources, r), append(writers, w)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := begin(ctx, sources)
			asleep(t, unix.SYS_FUTEX_WAITV, tt.waitv)
			asleep(t, unix.SYS_PPOLL, tt.poll)
			switch {
			case victim < 0:
				cancel()
				require.Equal(t, result{err: context.Canceled}, <-done)
			case victim < tt.words:
				all[victim].raise()
				require.Equal(t, result{ready: []int{victim}}, <-done)
			default:
				_, err := writers[victim-tt.words].WriteString("x")
				require.NoError(t, err)
				require.Equal(t, result{ready: []int{victim}}, <-done)
			}
			cancel()
			require.Zero(t, sleeping(t, unix.SYS_FUTEX_WAITV)+sleeping(t, unix.SYS_PPOLL))
			require.Zero(t, threads.Load())
			for runtime.NumGoroutine() > before { // the one of begin ends after its result
				runtime.Gosched()
			}
			for i, w := range writers {
				_ = w.Close()
				_ = sources[tt.words+i].(end).file.Close()
			}
		}
	}
	require.Empty(t, waiters.all)
}

// No sleep ends by looking: one who waits is asleep until something happens, and
// looks once more then.
func TestAnyDoesNotPoll(t *testing.T) {
	var looks atomic.Int32
	quiet := new(silent)
	counted := sourceFunc(func(list *List) bool {
		looks.Add(1)
		return quiet.Await(list)
	})
	all, sources := flags(1)
	r, _ := pipe(t)
	done := begin(context.Background(), append(sources, r, counted))
	asleep(t, unix.SYS_FUTEX_WAITV, 1)
	asleep(t, unix.SYS_PPOLL, 1)
	for n := range int32(3) {
		futex.Wake(&all[0].word, futex.All) // for nothing
		for looks.Load() < n+2 {
			runtime.Gosched()
		}
		asleep(t, unix.SYS_FUTEX_WAITV, 1)
		asleep(t, unix.SYS_PPOLL, 1)
		require.Equal(t, n+2, looks.Load())
	}
	quiet.set.Store(true)
	Notify()
	require.Equal(t, result{ready: []int{2}}, <-done)
	require.Equal(t, int32(5), looks.Load())
}

type sourceFunc func(*List) bool

func (f sourceFunc) Await(list *List) bool { return f(list) }

// A list's bound ends the sleep, whatever it sleeps on.
func TestAnyBound(t *testing.T) {
	r, _ := pipe(t)
	words, _ := flags(1)
	for _, others := range [][]Source{nil, {words[0]}, {r}, {words[0], r}} {
		looks := 0
		bounded := sourceFunc(func(list *List) bool {
			list.Bound(time.Hour)
			list.Bound(time.Millisecond)
			list.Bound(time.Hour)
			looks++
			return looks == 3
		})
		ready, err := Any(context.Background(), append(slices.Clone(others), bounded))
		require.NoError(t, err)
		require.Equal(t, []int{len(others)}, ready)
	}
}

// What changes while Any looks, after its look at that, ends the first sleep.
func TestAnyNotifiedWhileLooking(t *testing.T) {
	words, _ := flags(1)
	r, _ := pipe(t)
	for _, others := range [][]Source{nil, {words[0]}, {r}, {words[0], r}} {
		looks := 0
		late := sourceFunc(func(*List) bool {
			looks++
			Notify()
			return looks > 1
		})
		ready, err := Any(context.Background(), append(slices.Clone(others), late))
		require.NoError(t, err)
		require.Equal(t, []int{len(others)}, ready)
		require.Equal(t, 2, looks)
	}
}

// A change at any moment is seen: before the first look, between look and
// sleep, in the sleep.
func TestAnyRace(t *testing.T) {
	proctest.NoLeaks(t)
	for range 2000 {
		all, sources := flags(2)
		quiet := new(silent)
		r, w := pipe(t)
		sources = append(sources, r, quiet)
		ctx, cancel := context.WithCancel(context.Background())
		var group sync.WaitGroup
		for _, f := range all {
			group.Go(f.raise)
		}
		group.Go(func() { quiet.set.Store(true); Notify() })
		group.Go(cancel)
		group.Go(func() { _, _ = w.WriteString("x") })
		for len(sources) > 0 {
			ready, err := Any(context.Background(), sources)
			require.NoError(t, err)
			require.NotEmpty(t, ready)
			for _, i := range slices.Backward(ready) {
				sources = slices.Delete(sources, i, i+1)
			}
		}
		_, err := Any(ctx, nil)
		require.Equal(t, context.Canceled, err)
		group.Wait()
		_ = w.Close()
		_ = r.file.Close()
	}
}

// Beyond the limit of threads Any looks from time to time.
func TestAnyWithoutThreads(t *testing.T) {
	threads.Add(maxThreads)
	defer threads.Add(-maxThreads)
	all, sources := flags(1)
	r, _ := pipe(t)
	done := begin(context.Background(), append(sources, r))
	all[0].raise()
	require.Equal(t, result{ready: []int{0}}, <-done)
	ctx, cancel := context.WithCancel(t.Context())
	done = begin(ctx, []Source{r})
	cancel()
	require.Equal(t, result{err: context.Canceled}, <-done)
	require.Equal(t, int32(maxThreads), threads.Load())
}

// What the system refuses is an error, not a loop.
func TestAnyRefused(t *testing.T) {
	proctest.NoLeaks(t)
	r, _ := pipe(t)
	var old unix.Rlimit
	require.NoError(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
	small := old
	small.Cur = 1
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &small))
	_, err := Any(context.Background(), []Source{r})
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old))
	require.ErrorIs(t, err, unix.EMFILE)
}

// member joins the roster and tells its name there.
var member = proctest.Register("member", func(h *proctest.Helper) error {
	id, err := roster.Join()
	if err != nil {
		return err
	}
	h.Say(strconv.FormatUint(uint64(id), 10))
	select {}
})

// startMember returns a process and how to look at it.
func startMember(t *testing.T) (*proctest.Proc, func() roster.Sight) {
	t.Helper()
	_, err := roster.Join()
	require.NoError(t, err)
	p := member.Start(t, nil)
	id, err := strconv.ParseUint(p.Line(t), 10, 32)
	require.NoError(t, err)
	return p, func() roster.Sight { return roster.Look(roster.ID(id)) }
}

// A death ends the sleep of everybody who watches that life, also where the
// kernel wakes one only.
func TestAnyDeath(t *testing.T) {
	proctest.NoLeaks(t)
	p, look := startMember(t)
	dead := sourceFunc(func(list *List) bool {
		sight := look()
		if sight.Alive {
			list.WatchLife(sight)
		}
		return !sight.Alive
	})
	_, others := flags(200)
	var waits []<-chan result
	for range 3 {
		waits = append(waits, begin(context.Background(), append(slices.Clone(others), dead)))
	}
	asleep(t, unix.SYS_FUTEX_WAITV, 6)
	p.Kill(t)
	for _, done := range waits {
		require.Equal(t, result{ready: []int{200}}, <-done)
	}
}

// refuser waits where the kernel has no futex_waitv.
var refuser = proctest.Register("refuser", func(h *proctest.Helper) error {
	if err := proctest.Refuse(unix.SYS_FUTEX_WAITV, unix.ENOSYS); err != nil {
		return err
	}
	all, sources := flags(300)
	done := begin(context.Background(), sources)
	h.Ready()
	all[200].raise()
	if r := <-done; r.err != nil || !slices.Equal(r.ready, []int{200}) {
		return os.ErrInvalid
	}
	return nil
})

func TestAnyWithoutWaitV(t *testing.T) {
	p := refuser.Start(t, nil)
	proctest.Gate(t, p)
	require.NoError(t, p.Wait(t))
}
