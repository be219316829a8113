package proc_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/proc"
)

// One task that takes too much dies alone.
func TestMemoryLimit(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Limits: proc.Limits{Memory: ownMemory(t) + 256<<20}})
	in := []int{1, 2, 1 << 20, 3, 4}
	out, err := hoard.Map(t.Context(), p, in, &proc.MapOptions{Chunk: 5, KeepGoing: true})
	var failed proc.TaskErrors
	require.ErrorAs(t, err, &failed)
	require.Len(t, failed, 1)
	require.Equal(t, 2, failed[0].Index)
	e := died(t, err)
	require.Positive(t, e.Code) // the race detector has an end of its own
	require.Regexp(t, `: (fatal error: .*memory.*|SIGSEGV: segmentation violation|.* failed to allocate .*)$`, e.Error())
	require.Equal(t, []int{1, 2, 0, 3, 4}, out)
	works(t, p)
}

// ownMemory returns how much private memory this process has: under the race
// detector it is much.
func ownMemory(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(t, err)
	_, after, found := strings.Cut(string(status), "VmData:")
	require.True(t, found)
	var kilobytes int64
	_, err = fmt.Sscan(after, &kilobytes)
	require.NoError(t, err)
	return kilobytes << 10
}

// hoard takes so many megabytes, and does not even use them.
var hoard = proc.Register("hoard", func(_ context.Context, megabytes int) (int, error) {
	kept = nil
	for range megabytes {
		kept = append(kept, make([]byte, 1<<20))
	}
	return len(kept), nil
})

// burn never ends.
var burn = proc.RegisterTask("burn", func(context.Context, struct{}) error {
	for n := 0; ; {
		n++
	}
})

func TestCPULimit(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Limits: proc.Limits{CPU: time.Second}})
	_, err := burn.Submit(t.Context(), p, struct{}{}).Get(t.Context())
	require.Equal(t, -int(unix.SIGKILL), died(t, err).Code)
	works(t, p)
}

// A state is what of the machine a process may take.
type state struct {
	Data, CPU, Files uint64
	Nice             map[int]int // by thread
	Processors       map[int][]int
}

var lookAtLimits = proc.Register("look at limits", func(context.Context, int) (s state, err error) {
	for resource, value := range map[int]*uint64{unix.RLIMIT_DATA: &s.Data, unix.RLIMIT_CPU: &s.CPU, unix.RLIMIT_NOFILE: &s.Files} {
		var limit unix.Rlimit
		if err := unix.Getrlimit(resource, &limit); err != nil {
			return s, err
		}
		*value = limit.Cur
	}
	s.Nice, s.Processors = make(map[int]int), make(map[int][]int)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return s, err
	}
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			return s, err
		}
		stat, err := os.ReadFile("/proc/self/task/" + thread.Name() + "/stat")
		if err != nil {
			return s, err
		}
		_, fields, _ := strings.Cut(string(stat), ") ")
		if s.Nice[tid], err = strconv.Atoi(strings.Fields(fields)[16]); err != nil {
			return s, err
		}
		var may unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &may); err != nil {
			return s, err
		}
		for cpu := range len(may) * 64 {
			if may.IsSet(cpu) {
				s.Processors[tid] = append(s.Processors[tid], cpu)
			}
		}
	}
	return s, nil
})

func TestLimits(t *testing.T) {
	proctest.NoLeaks(t)
	before := result(t, lookAtLimits, 0)
	p := newPool(t, &proc.PoolOptions{Workers: 1, Limits: proc.Limits{Memory: 512 << 20, CPU: 1500 * time.Millisecond, Files: 50, Nice: 5}})
	for range 2 {
		s, err := lookAtLimits.Submit(t.Context(), p, 0).Get(t.Context())
		require.NoError(t, err)
		require.EqualValues(t, 512<<20, s.Data)
		require.EqualValues(t, 2, s.CPU, "seconds, rounded up")
		require.EqualValues(t, 50, s.Files)
		for tid, nice := range s.Nice {
			require.Equal(t, min(nice0(before)+5, 19), nice, "thread %d", tid)
		}
		require.NoError(t, unix.Kill(proc.Children()[0].Pid(), unix.SIGKILL)) // the next one has them, too
	}
	// Those that nobody sets are this process's.
	p = newPool(t, &proc.PoolOptions{Workers: 1})
	s, err := lookAtLimits.Submit(t.Context(), p, 0).Get(t.Context())
	require.NoError(t, err)
	require.Equal(t, before.Data, s.Data)
	require.Equal(t, before.CPU, s.CPU)
	require.Equal(t, before.Files, s.Files)
	require.Equal(t, nice0(before), nice0(s))
}

// nice0 returns the nice value of some thread.
func nice0(s state) int {
	for _, nice := range s.Nice {
		return nice
	}
	return -1
}

// A limit that is above what this process may have is no error.
func TestLimitAboveOwn(t *testing.T) {
	proctest.NoLeaks(t)
	p := newPool(t, &proc.PoolOptions{Limits: proc.Limits{Files: 1 << 40}})
	works(t, p)
}

// Two workers have two processors if there are two, and the third one has the
// first again.
func TestPin(t *testing.T) {
	proctest.NoLeaks(t)
	var may unix.CPUSet
	require.NoError(t, unix.SchedGetaffinity(0, &may))
	x := newExchange(t)
	workers := may.Count() + 1
	p := newPool(t, &proc.PoolOptions{Workers: workers, Pin: true})
	var futures []*proc.Future[[2]int]
	for _, c := range x.cues(workers) {
		futures = append(futures, whichProcessor.Submit(t.Context(), p, c))
	}
	var lines []*phone
	for range workers {
		lines = append(lines, x.answer(t))
	}
	for _, line := range lines {
		line.say(t, "go on")
	}
	seen := make(map[int]int)
	for _, f := range futures {
		got, err := f.Get(t.Context())
		require.NoError(t, err)
		seen[got[0]] = got[1]
	}
	require.Len(t, seen, workers)
	used := make(map[int]bool)
	for _, cpu := range seen {
		require.True(t, may.IsSet(cpu))
		used[cpu] = true
	}
	require.Len(t, used, may.Count())
	require.Equal(t, seen[0], seen[workers-1])
}

var whichProcessor = proc.Register("which processor", func(ctx context.Context, c cue) (got [2]int, err error) {
	line, err := call(c.Addr)
	if err == nil {
		_, err = line.converse("here")
	}
	if err != nil {
		return got, err
	}
	got[0], _ = proc.WorkerIndex()
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return got, err
	}
	got[1] = -1
	for _, thread := range threads {
		tid, err := strconv.Atoi(thread.Name())
		if err != nil {
			return got, err
		}
		var may unix.CPUSet
		if err := unix.SchedGetaffinity(tid, &may); err != nil {
			return got, err
		}
		for cpu := range len(may) * 64 {
			if may.IsSet(cpu) && (may.Count() != 1 || got[1] >= 0 && got[1] != cpu) {
				return [2]int{got[0], -2}, nil // more than one
			} else if may.IsSet(cpu) {
				got[1] = cpu
			}
		}
	}
	return got, nil
})
