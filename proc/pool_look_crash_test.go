//go:build crash

package proc_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// recite says a word to the test, or waits until a file is there, or for good.
var recite = proc.Register("recite", func(_ context.Context, order string) (string, error) {
	for _, word := range strings.Fields(order) {
		switch path, wait := strings.CutPrefix(word, "await:"); {
		case wait:
			for _, err := os.Stat(path); err != nil; _, err = os.Stat(path) {
				<-time.After(time.Millisecond)
			}
		case word == "hang":
			select {}
		default:
			fmt.Println(word)
		}
	}
	return "ok", nil
})

// stoppingParent stops at one of its steps, and goes on later.
var stoppingParent = proctest.Register("parent of a pool that stops", func(h *proctest.Helper) error {
	point, err := strconv.Atoi(h.Args[0])
	if err != nil {
		return err
	}
	ctx, dir, workers := context.Background(), h.Args[1], 1
	if probe.Point(point) == probe.Cut163 {
		workers = 2
	}
	if probe.Point(point) == probe.Pause170 {
		proc.NoSweeps()
	}
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: workers, Grace: 10 * time.Millisecond})
	if err != nil {
		return err
	}
	probe.Arm(probe.Point(point), unix.SIGSTOP)
	var got []string
	switch probe.Point(point) {
	case probe.Pause170:
		first := recite.Submit(ctx, pool, "await:"+dir+"/first")
		second := recite.Submit(ctx, pool, "await:"+dir+"/second")
		recite.Submit(ctx, pool, "behind hang")
		for _, f := range []*proc.Future[string]{first, second} {
			<-f.Done() // Get would look for the result itself
			s, err := f.Get(ctx)
			if err != nil {
				return err
			}
			got = append(got, s)
		}
	default:
		o := &proc.MapOptions{Chunk: 2}
		if probe.Point(point) == probe.Verdict160 {
			o.Timeout = 20 * time.Millisecond
		}
		if got, err = recite.Map(ctx, pool, []string{"await:" + dir + "/second", "behind"}, o); err != nil {
			return err
		}
	}
	h.Say(strings.Join(got, " "))
	return nil
})

// The parent stops before it goes to sleep, and something is finished meanwhile;
// before its verdict, and the item is finished; before it takes an item back, and
// that is begun: it sees that when it goes on.
func TestPoolChangeBeforeParentsStep(t *testing.T) {
	for _, p := range []probe.Point{probe.Pause170, probe.Verdict160, probe.Cut163} {
		t.Run(p.String(), func(t *testing.T) {
			proctest.NoLeaks(t)
			dir := t.TempDir()
			parent := stoppingParent.Start(t, nil, strconv.Itoa(int(p)), dir)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "first"), nil, 0o600))
			parent.AwaitStop(t)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "second"), nil, 0o600))
			parent.Expect(t, "behind") // and so the one before it is committed
			parent.Cont(t)
			parent.Expect(t, "ok ok")
			require.NoError(t, parent.Wait(t))
		})
	}
}

// The only worker stops before it sleeps, and a task comes meanwhile: it sees that
// when it goes on.
func TestPoolChangeBeforeWorkerSleeps(t *testing.T) {
	proc.WithoutSweeps(t)
	for _, p := range probe.Points(probe.Rest130, probe.Rest134) {
		t.Run(p.String(), func(t *testing.T) {
			r := newTroupe(t, proc.PoolOptions{Workers: 1})
			r.play(callings["submit"], r.acts(1, map[int]act{0: doomed(0, p, unix.SIGSTOP)}))
			pid := int(r.Armed.View()[0].Load())
			awaitThat(t, func() bool { return stopped(pid) })
			f := perform.Submit(t.Context(), r.pool, act{N: 7})
			require.NoError(t, unix.Kill(pid, unix.SIGCONT))
			v, err := f.Get(t.Context())
			require.NoError(t, err)
			require.EqualValues(t, 49, v)
		})
	}
}

// lull returns a pool of two workers that sleep, of whom the first one will be
// woken, and is armed for a step.
func lull(t *testing.T, p probe.Point, sig unix.Signal) (r *troupe, pid int) {
	r = newTroupe(t, proc.PoolOptions{Workers: 2})
	doom := doomed(0, p, sig)
	doom.First = true
	for pid == 0 {
		awaitThat(t, func() bool { return r.pool.Asleep() == 2 }) // so that one is woken, and the other sleeps on
		r.play(callings["submit"], r.acts(1, map[int]act{0: doom}))
		pid = int(r.Armed.View()[0].Load())
	}
	return r, pid
}

// The first one of two sleepers dies after it was woken for a task, or asleep: the
// other one is woken, whoever comes in its place.
func TestPoolSleeperKilled(t *testing.T) {
	proc.WithoutSweeps(t)
	for _, p := range []probe.Point{probe.Claim111, probe.Claim112, probe.Claim113, probe.Rest132, probe.Rest133, probe.Rest134} {
		t.Run(p.String(), func(t *testing.T) {
			r, _ := lull(t, p, unix.SIGKILL)
			asleep := p <= probe.Claim113
			if asleep {
				awaitThat(t, func() bool { return r.pool.Asleep() == 2 })
			} else {
				awaitThat(t, func() bool { return r.deaths() == 1 && r.pool.Asleep() >= 1 })
			}
			require.Empty(t, r.play(callings["submit"], r.acts(1, nil)))
			awaitThat(t, func() bool { return r.deaths() == 1 })
		})
	}
}

// The first one of two sleepers is stopped after it was woken for a task: the other
// one is woken a moment later.
func TestPoolSleeperStopped(t *testing.T) {
	for _, p := range probe.Points(probe.Claim111, probe.Claim113) {
		t.Run(p.String(), func(t *testing.T) {
			r, pid := lull(t, p, unix.SIGSTOP)
			awaitThat(t, func() bool { return r.pool.Asleep() == 2 })
			require.Empty(t, r.play(callings["submit"], r.acts(1, nil)))
			require.True(t, stopped(pid))
			require.NoError(t, unix.Kill(pid, unix.SIGCONT))
		})
	}
}

// An item that was behind one that killed its worker has had no attempt.
func TestPoolChargesTheItemInHand(t *testing.T) {
	r := newTroupe(t, proc.PoolOptions{Workers: 1, Retries: 1})
	acts := r.acts(4, map[int]act{0: doomed(0, probe.Item116, unix.SIGKILL), 1: doomed(1, probe.Item116, unix.SIGKILL)})
	require.Empty(t, r.play(callings["map"], acts))
	for n, want := range []uint32{2, 2, 1, 1} {
		require.Equal(t, want, r.Begun.View()[n].Load(), "item %d", n)
	}
}

// patient is a task that takes 400 ms, and obeys its context.
var patient = proc.RegisterTask("patient", func(ctx context.Context, _ int) error {
	select {
	case <-time.After(400 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
})

// A time limit counts from the begin of each item, be it the first or a later one
// of its chunk.
func TestPoolTimeLimitIsThatOfTheItem(t *testing.T) {
	proctest.NoLeaks(t)
	pool, err := proc.NewPool(t.Context(), &proc.PoolOptions{Workers: 1, TaskTimeout: time.Second})
	require.NoError(t, err)
	defer func() { require.NoError(t, pool.Close()) }()
	_, err = patient.Map(t.Context(), pool, make([]int, 4), &proc.MapOptions{Chunk: 4})
	require.NoError(t, err)
}
