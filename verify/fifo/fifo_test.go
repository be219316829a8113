package fifo

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

func TestMain(m *testing.M) { proctest.Main(m) }

var (
	duration = flag.Duration("for", 3*time.Second, "how long to make histories, those of locks included")
	seed     = flag.Uint64("seed", uint64(time.Now().UnixNano()), "of the random choices")
)

const (
	decideWithin = time.Minute
	patience     = int64(10 * time.Millisecond) // of operations that do not wait for items or room
)

// TestHistories lets processes use queues and pipes, kills some of them, and
// checks that what all of them saw can have happened.
func TestHistories(t *testing.T) {
	t.Logf("seed %d", *seed)
	random := rand.New(rand.NewPCG(*seed, 0))
	for _, tt := range []struct {
		name    string
		shape   shape
		pipe    bool
		tenths  time.Duration // of the time
		rounds  int           // at a time
		decided bool          // by the model, too
	}{
		{"queues, short", shortQueue, false, 1, 20, true},
		{"queues, long", longQueue, false, 2, 1, false},
		{"pipes, short", shortPipe, true, 1, 20, true},
		{"pipes, long", longPipe, true, 1, 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			total := counts{outcomes: map[string]int{}}
			end := time.Now().Add(*duration * tt.tenths / 10)
			for sound := true; sound && time.Now().Before(end); {
				// Clean-ups of helpers run when their part of the rounds is over.
				sound = t.Run("rounds", func(t *testing.T) {
					proctest.NoLeaks(t)
					for range tt.rounds {
						var h *history
						if random.IntN(2) == 0 {
							h = play(t, random, tt.shape, slots, slotClients, tt.pipe)
						} else {
							h = play(t, random, tt.shape, records, recordClients, tt.pipe)
						}
						total.add(t, h, tt.decided)
					}
				})
			}
			for what, n := range total.outcomes {
				t.Logf("%8d %s", n, what)
			}
			if total.rounds >= 20 {
				require.NotZero(t, total.kills)
			}
			proctest.Verified(t, "history", tt.name, "%v: %d histories, %d operations; %d processes killed, %d operations never returned, %d items lost with who had got them",
				*duration*tt.tenths/10, total.rounds, total.ops, total.kills, total.pending, total.missing)
		})
	}
}

// add checks a history, and writes it down if it cannot have happened.
func (total *counts) add(t *testing.T, h *history, decide bool) {
	t.Helper()
	missing, err := verdict(h)
	if err == nil && decide {
		if answer := linearizable(h); answer != porcupine.Ok {
			err = fmt.Errorf("the model says: %v", answer)
		}
	}
	if err != nil {
		path := filepath.Join(os.TempDir(), fmt.Sprintf("history-%d.txt", os.Getpid()))
		require.NoError(t, os.WriteFile(path, []byte(h.String()), 0o600))
		t.Fatalf("%v\nsee %s", err, path)
	}
	total.rounds++
	total.kills += h.killed
	total.ops += len(h.ops)
	total.missing += missing
	for _, o := range h.ops {
		if o.outcome == pending {
			total.pending++
		}
		total.outcomes[kinds[o.kind]+" "+outcomes[o.outcome]]++
	}
}
