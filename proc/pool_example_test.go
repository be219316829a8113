package proc_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

var root = proc.Register("root", func(_ context.Context, x int) (int, error) {
	if x < 0 {
		return 0, &negativeError{X: x}
	}
	r := 0
	for (r+1)*(r+1) <= x {
		r++
	}
	return r, nil
})

// A negativeError is known by its type in the parent, too.
type negativeError struct{ X int }

func (e *negativeError) Error() string { return strconv.Itoa(e.X) + " is negative" }

var _ = proc.RegisterError[*negativeError]("negative")

// A pool is made once and used for many calls. Close ends it when they are done.
func ExampleNewPool() {
	ctx := context.Background()
	pool, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 2, TaskTimeout: time.Minute})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Terminate() // after Close it does nothing

	roots, err := root.Map(ctx, pool, []int{1, 10, 100, 1000}, nil)
	fmt.Println(roots, err)
	fmt.Println(pool.Close())
	_, err = root.Map(ctx, pool, []int{1}, nil)
	fmt.Println(err)
	// Output:
	// [1 3 10 31] <nil>
	// <nil>
	// proc: the pool is closed
}

// examplePool is a pool of two workers, which the caller must close.
func examplePool(o proc.PoolOptions) *proc.Pool {
	o.Workers = 2
	pool, err := proc.NewPool(context.Background(), &o)
	if err != nil {
		panic(err)
	}
	return pool
}

// Map ends at the first error, which says which input it was.
func ExampleFunc_Map() {
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	_, err := root.Map(context.Background(), pool, []int{4, 9, -16, 25}, nil)
	var task *proc.TaskError
	if errors.As(err, &task) {
		fmt.Println(task.Func, task.Index)
	}
	// Output: root 2
}

// With KeepGoing one bad input costs only its own result.
func ExampleMapOptions_keepGoing() {
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	roots, err := root.Map(context.Background(), pool, []int{4, -9, 16, -25}, &proc.MapOptions{KeepGoing: true})
	fmt.Println(roots)
	var failed proc.TaskErrors
	if errors.As(err, &failed) {
		for _, one := range failed {
			var remote *proc.RemoteError
			fmt.Println(one.Index, errors.As(one, &remote), remote.Text)
		}
	}
	// Output:
	// [2 0 4 0]
	// 1 true -9 is negative
	// 3 true -25 is negative
}

// naturals are endless: the input of a stream is read no further than its window.
func naturals(yield func(int) bool) {
	for i := 0; yield(i); i++ {
	}
}

// Stream takes its inputs from an iterator while results are taken from it. The
// end of the loop ends both.
func ExampleFunc_Stream() {
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	for r, err := range root.Stream(context.Background(), pool, naturals, nil) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Print(r, " ")
		if r == 3 {
			break
		}
	}
	fmt.Println()
	// Output: 0 1 1 1 2 2 2 2 2 3
}

// MapUnordered gives each result as soon as it is there. Its Index says whose it
// is.
func ExampleFunc_MapUnordered() {
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	var inputs iter.Seq[int] = func(yield func(int) bool) { _ = yield(16) && yield(-1) && yield(25) }
	sum, failed := 0, -1
	for r := range root.MapUnordered(context.Background(), pool, inputs, nil) {
		if r.Err != nil {
			failed = r.Index
			continue
		}
		sum += r.Value
	}
	fmt.Println("sum", sum, "- without input", failed)
	// Output: sum 9 - without input 1
}

// A call tells how far it has come. How many inputs there are may be known at the
// end only.
func ExampleProgress() {
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	var last proc.Progress
	o := &proc.MapOptions{Progress: func(p proc.Progress) { last = p }}
	inputs := func(yield func(int) bool) { _ = yield(4) && yield(9) && yield(16) }
	for _, err := range root.Stream(context.Background(), pool, inputs, o) {
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println(last.Done, "of", last.Total)
	// Output: 3 of 3
}

// A future is a result that is still being made.
func ExampleFunc_Submit() {
	ctx := context.Background()
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	future := root.Submit(ctx, pool, 144)
	// ... do something else ...
	fmt.Println(future.Get(ctx))
	// Output: 12 <nil>
}

var tarry = proc.RegisterTask("tarry", func(ctx context.Context, _ proc.None) error {
	<-ctx.Done()
	return ctx.Err()
})

// Cancel ends a task that is under way by its context.
func ExampleFuture_Cancel() {
	ctx := context.Background()
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	future := tarry.Submit(ctx, pool, proc.None{})
	future.Cancel()
	_, err := future.Get(ctx)
	fmt.Println(err)
	// Output: proc: the task was cancelled
}

// AsCompleted takes futures as they are done. Whoever wants the first one only
// leaves the loop.
func ExampleAsCompleted() {
	ctx := context.Background()
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	sum := 0
	for future := range proc.AsCompleted(ctx, root.Submit(ctx, pool, 100), root.Submit(ctx, pool, 9), root.Submit(ctx, pool, 1)) {
		r, err := future.Get(ctx)
		if err != nil {
			fmt.Println(err)
			return
		}
		sum += r
	}
	fmt.Println(sum)
	// Output: 14
}

var twice = proc.RegisterTask("twice", func(_ context.Context, p proc.Part[*shm.Array[float64]]) error {
	v := p.Arg.View()[p.Low:p.High]
	for i := range v {
		v[i] *= 2
	}
	return nil
})

// For works in place: each worker changes its parts of a shared array.
func ExampleFor() {
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()
	a, err := shm.ArrayOf([]float64{1, 2, 3, 4, 5}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()

	err = proc.For(context.Background(), pool, a.Len(), twice, a, nil)
	fmt.Println(a.Copy(), err)
	// Output: [2 4 6 8 10] <nil>
}

var vowels = proc.Register("vowels", func(_ context.Context, p proc.Part[string]) (n int, err error) {
	for _, letter := range p.Arg[p.Low:p.High] {
		if strings.ContainsRune("aeiou", letter) {
			n++
		}
	}
	return n, nil
})

// Reduce adds up what the parts of a range come to.
func ExampleReduce() {
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	text := strings.Repeat("reduce ", 1000)
	add := func(a, b int) int { return a + b }
	fmt.Println(proc.Reduce(context.Background(), pool, len(text), vowels, text, 0, add, nil))
	// Output: 3000 <nil>
}

// An error of a registered type arrives as what it was.
func ExampleRegisterError() {
	ctx := context.Background()
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	_, err := root.Submit(ctx, pool, -7).Get(ctx)
	var negative *negativeError
	if errors.As(err, &negative) {
		fmt.Println(negative.X)
	}
	// Output: -7
}

// greeting is a worker's own: each sets it before its first task.
var greeting string

var setGreeting = proc.RegisterTask("set greeting", func(_ context.Context, text string) error {
	greeting = text
	return nil
})

var welcome = proc.Register("welcome", func(_ context.Context, name string) (string, error) {
	return greeting + ", " + name, nil
})

// Init prepares each worker. What tasks of one worker share is a package-level
// variable.
func ExampleFunc_With() {
	ctx := context.Background()
	pool := examplePool(proc.PoolOptions{Init: setGreeting.With("good morning")})
	defer pool.Close()

	fmt.Println(welcome.Submit(ctx, pool, "ada").Get(ctx))
	// Output: good morning, ada <nil>
}

var fallOnce = proc.Register("fall once", func(_ context.Context, marker string) (string, error) {
	f, err := os.OpenFile(marker, os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil { // the first attempt
		_ = f.Close()
		return "", syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return "done", nil
})

// A task whose worker dies is begun again if Retries says so. What a task does
// must bear that.
func ExamplePoolOptions_retries() {
	ctx := context.Background()
	pool := examplePool(proc.PoolOptions{Retries: 1})
	defer pool.Close()

	marker := fmt.Sprintf("%s/multiproc-example-%d", os.TempDir(), os.Getpid())
	defer os.Remove(marker)
	fmt.Println(fallOnce.Submit(ctx, pool, marker).Get(ctx))
	// Output: done <nil>
}

// A worker that is killed takes its task along, and nothing else.
func ExampleWorkerDiedError() {
	ctx := context.Background()
	pool := examplePool(proc.PoolOptions{})
	defer pool.Close()

	_, err := leave.Submit(ctx, pool, "exit 3").Get(ctx)
	var died *proc.WorkerDiedError
	if errors.As(err, &died) {
		fmt.Println("exit code", died.Code)
	}
	fmt.Println(root.Submit(ctx, pool, 49).Get(ctx))
	// Output:
	// exit code 3
	// 7 <nil>
}

// Stats tell what each worker has done.
func ExamplePool_Stats() {
	ctx := context.Background()
	pool := examplePool(proc.PoolOptions{})
	if _, err := root.Map(ctx, pool, make([]int, 1000), nil); err != nil {
		fmt.Println(err)
	}
	if err := pool.Close(); err != nil {
		fmt.Println(err)
	}
	tasks := uint64(0)
	for _, w := range pool.Stats().Workers {
		tasks += w.Tasks
	}
	fmt.Println(tasks, "tasks")
	// Output: 1000 tasks
}
