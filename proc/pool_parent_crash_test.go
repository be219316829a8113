//go:build crash

package proc_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/probe"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// The mishaps of a task.
const (
	unhurt   = iota
	sluggish // 5 ms
	exiting  // its process ends
	hanging  // for ever, whatever its context says
)

var endure = proc.Register("endure", func(_ context.Context, mishap int) (int, error) {
	switch mishap {
	case sluggish:
		<-time.After(5 * time.Millisecond)
	case exiting:
		os.Exit(3)
	case hanging:
		select {}
	}
	return mishap, nil
})

// familyMark is in the environment of a parent and of all that come from it.
const familyMark = "MULTIPROC_TEST_FAMILY="

// doomedParent has a pool, and passes all of the parent's steps again and again. It
// is killed when it comes to one of them.
var doomedParent = proctest.Register("doomed parent of a pool", func(h *proctest.Helper) error {
	point, err := strconv.Atoi(h.Args[0])
	if err == nil {
		err = os.Setenv(familyMark[:len(familyMark)-1], h.Args[1])
	}
	if err != nil {
		return err
	}
	ctx := context.Background()
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 2, Grace: 10 * time.Millisecond})
	if err != nil {
		return err
	}
	h.Ready()
	probe.Arm(probe.Point(point), unix.SIGKILL)
	for {
		_, _ = endure.Map(ctx, pool, []int{7: exiting, 15: sluggish}, &proc.MapOptions{Chunk: 4, KeepGoing: true})
		_, _ = endure.Map(ctx, pool, []int{7: hanging}, &proc.MapOptions{Chunk: 4, KeepGoing: true, Timeout: 20 * time.Millisecond})
		_, _ = endure.Map(ctx, pool, slices.Repeat([]int{sluggish}, 8), &proc.MapOptions{Chunk: 8}) // one has it all
	}
})

// offspring returns the processes that bear a mark.
func offspring(mark string) (pids []int) {
	entries, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is sound
	for _, e := range entries {
		environ, err := os.ReadFile(e)
		if err != nil || !bytes.Contains(environ, []byte(familyMark+mark)) {
			continue // it has ended, or is another user's
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(e))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// The parent is killed at each of its steps: no process of its pool lives on, and
// nothing is left.
func TestPoolParentKilledAtEachStep(t *testing.T) {
	points := slices.Concat(probe.Points(probe.Publish102, probe.Publish105), probe.Points(probe.Collect140, probe.Pause173))
	for i, p := range points {
		t.Run(p.String(), func(t *testing.T) {
			proctest.NoLeaks(t)
			mark := strconv.Itoa(os.Getpid()) + "-" + strconv.Itoa(i) + "."
			parent := doomedParent.Start(t, nil, strconv.Itoa(int(p)), mark)
			awaitThat(t, func() bool { return len(offspring(mark)) == 2 })
			proctest.Gate(t, parent)
			require.ErrorContains(t, parent.Wait(t), "killed")
			awaitThat(t, func() bool { return len(offspring(mark)) == 0 })
		})
	}
	proctest.Verified(t, "crash", "pool, parent killed", "%d kills at as many steps; no worker lived on", len(points))
}
