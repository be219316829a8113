// Philosophers: five of them sit at a round table, with a fork between each two.
// To eat, a philosopher needs the fork on the left and the one on the right. Each
// is a process, each fork a lock.
//
//   - First each takes the left fork, and then waits for the right one: nobody
//     eats, and nobody ever would. A context ends it.
//   - Then each takes the fork with the lower number first. So the waiting can form
//     no circle, and all eat.
//   - In the end one is killed with both forks in hand. Its neighbours are told,
//     wash the forks, and go on.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"syscall"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

const (
	seats = 5
	meals = 100
)

// A Table lies in shared memory.
type Table struct {
	forks  [seats]psync.Mutex
	ready  psync.Barrier // everybody has the left fork
	hungry psync.Barrier // everybody has given up
}

// A Seat is one philosopher's.
type Seat struct {
	Table  *shm.Value[Table]
	Number int
}

// greedy reports whether the philosopher ate.
var greedy = proc.Register("greedy", func(ctx context.Context, s Seat) (ate bool, err error) {
	table := s.Table.Ptr()
	left, right := &table.forks[s.Number], &table.forks[(s.Number+1)%seats]
	left.Lock()
	defer left.Unlock()
	if _, err := table.ready.Wait(ctx); err != nil {
		return false, err
	}
	patience, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	switch err := right.LockContext(patience); {
	case err == nil:
		right.Unlock()
		return true, nil
	case !errors.Is(err, context.DeadlineExceeded):
		return false, err
	}
	_, err = table.hungry.Wait(ctx) // or the first to put its fork back would let another eat
	return false, err
})

// polite returns how many forks had to be washed.
var polite = proc.Register("polite", func(ctx context.Context, s Seat) (washed int, err error) {
	forks := &s.Table.Ptr().forks
	low, high := min(s.Number, (s.Number+1)%seats), max(s.Number, (s.Number+1)%seats)
	for range meals {
		for _, i := range []int{low, high} {
			err := forks[i].LockContext(ctx)
			if errors.Is(err, psync.ErrOwnerDied) { // and the fork is in our hand
				washed++
				forks[i].MarkConsistent()
			} else if err != nil {
				return washed, err
			}
		}
		forks[high].Unlock()
		forks[low].Unlock()
	}
	return washed, nil
})

var unlucky = proc.RegisterTask("unlucky", func(_ context.Context, s Seat) error {
	forks := &s.Table.Ptr().forks
	forks[s.Number].Lock()
	forks[s.Number+1].Lock()
	return syscall.Kill(os.Getpid(), syscall.SIGKILL)
})

func main() {
	proc.Main()

	ctx := context.Background()
	table, err := shm.NewValue(Table{}, &shm.Options{NoLock: true})
	check(err)
	check(table.Ptr().ready.Init(seats))
	check(table.Ptr().hungry.Init(seats))

	ate := 0
	for _, didEat := range dine(ctx, greedy, table, 0) {
		if didEat {
			ate++
		}
	}
	fmt.Printf("left fork first: %d of %d ate\n", ate, seats)

	n := len(dine(ctx, polite, table, 0))
	fmt.Printf("lower fork first: %d philosophers ate %d times each\n", n, meals)

	p, err := unlucky.Start(ctx, Seat{table, 0}, nil)
	check(err)
	_ = p.Join(ctx) // an error: it was killed
	washed := 0
	rest := dine(ctx, polite, table, 1)
	for _, forks := range rest {
		washed += forks
	}
	fmt.Printf("one was killed: the other %d ate %d times each, after washing %d forks\n", len(rest), meals, washed)
	check(table.Close())
}

// dine seats a philosopher at each place from first on, and returns what they say.
func dine[R any](ctx context.Context, how *proc.Func[Seat, R], table *shm.Value[Table], first int) (results []R) {
	var guests []*proc.Call[R]
	for number := first; number < seats; number++ {
		guest, err := how.Start(ctx, Seat{table, number}, nil)
		check(err)
		guests = append(guests, guest)
	}
	for _, guest := range guests {
		result, err := guest.Result(ctx)
		check(err)
		results = append(results, result)
	}
	return results
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
