package verify

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/shm"
)

func TestMain(m *testing.M) { proctest.Main(m) }

var (
	duration = flag.Duration("for", 3*time.Second, "how long to make histories, those of package fifo included")
	seed     = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random choices")
)

// counts are what all rounds together came to.
type counts struct {
	rounds, kills, pending, told int
	kinds                        map[string]int
}

// TestHistories lets processes use two objects, kills some of them, and checks that
// what all of them saw can have happened, one operation after the other.
func TestHistories(t *testing.T) {
	t.Logf("seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 0))
	for i, name := range []string{"Mutex and RMutex", "RWMutex and BoundedSemaphore"} {
		t.Run(name, func(t *testing.T) {
			first, share := object(i*together), *duration/4 // half is for package fifo
			total := counts{kinds: map[string]int{}}
			for begin, sound := time.Now(), true; sound && time.Since(begin) < share; {
				// Clean-ups of helpers run when their part of the rounds is over.
				sound = t.Run("rounds", func(t *testing.T) {
					proctest.NoLeaks(t)
					for range 50 {
						total.round(t, random, first)
					}
				})
			}
			total.report(t, name, share)
		})
	}
}

// report says what the histories were, which were all sound.
func (total *counts) report(t *testing.T, name string, share time.Duration) {
	all := 0
	for what, n := range total.kinds {
		all += n
		t.Logf("%7d %s", n, what)
	}
	require.NotZero(t, total.kills)
	require.NotZero(t, total.pending, "nobody was ever killed in the middle of an operation")
	require.NotZero(t, total.told, "nobody was ever killed holding a lock")
	proctest.Verified(t, "history", name, "%v: %d histories of %d processes with %d goroutines each, %d operations; %d processes killed, %d operations never returned, %d were told of a death",
		share, together*total.rounds, processes, goroutines, all, total.kills, total.pending, total.told)
}

func (total *counts) round(t *testing.T, random *rand.Rand, first object) {
	seg, err := shm.Create("arena", 1<<16)
	require.NoError(t, err)
	defer func() { require.NoError(t, seg.Close()) }()
	a, err := shm.Place[arena](seg, 0)
	require.NoError(t, err)

	require.NoError(t, a.Bounded.Init(permits))

	procs := make([]*proctest.Proc, processes)
	pids := make([]int, processes)
	for i := range procs {
		procs[i] = worker.Start(t, []*os.File{seg.File()}, strconv.Itoa(i), strconv.FormatUint(random.Uint64(), 10), strconv.Itoa(int(first)))
		pids[i] = procs[i].Pid()
	}
	proctest.Gate(t, procs...)
	var deaths []death
	for i := range random.IntN(processes) { // at least one lives
		deaths = append(deaths, kill(t, a, procs[i], i, random))
	}
	for i, p := range procs[len(deaths):] {
		require.NoError(t, p.Wait(t), "process %d", len(deaths)+i)
	}

	total.rounds++
	total.kills += len(deaths)
	for o := first; o < first+together; o++ {
		history, err := a.history(o, pids, deaths)
		require.NoError(t, err)
		total.add(history)
		check(t, o, history)
	}
}

// kill kills a process when it has done so and so many operations, and a random
// moment later.
func kill(t *testing.T, a *arena, p *proctest.Proc, process int, random *rand.Rand) death {
	t.Helper()
	log := &a.Logs[process*goroutines+random.IntN(goroutines)]
	for at := &log[random.IntN(operations)]; at.Call.Load() == 0; {
		runtime.Gosched()
	}
	for n := random.IntN(20_000); n > 0; n-- {
		runtime.KeepAlive(n)
	}
	d := death{process: process, begin: now()}
	p.Kill(t)
	d.end = now()
	return d
}

func (total *counts) add(history []porcupine.Operation) {
	for _, o := range history {
		c, r := o.Input.(call), o.Output.(result)
		if c.kind == die {
			continue
		}
		what := kinds[c.kind]
		if c.n > 0 {
			what += " for some"
		}
		total.kinds[what+" "+outcomes[r.outcome]]++
		switch r.outcome {
		case pending:
			total.pending++
		case died, panicked:
			total.told++
		}
	}
}

// check fails the test, and writes the history down, if it cannot have happened
// or if that cannot be decided.
func check(t *testing.T, o object, history []porcupine.Operation) {
	t.Helper()
	m := model(o)
	verdict, info := porcupine.CheckOperationsVerbose(m, history, time.Minute)
	if verdict == porcupine.Ok {
		return
	}
	path := filepath.Join(os.TempDir(), fmt.Sprintf("history-%d.html", os.Getpid()))
	require.NoError(t, porcupine.VisualizePath(m, info, path))
	var text strings.Builder
	for _, op := range history {
		fmt.Fprintf(&text, "%d %d %s\n", op.Call, op.Return, describe(op.Input.(call), op.Output.(result)))
	}
	t.Fatalf("%s history of object %d, see %s:\n%s", verdict, o, path, &text)
}
