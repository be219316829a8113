// Python: what before.py beside it does, in Go. It prints the same.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"strings"
	"time"

	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

func main() {
	proc.Main()

	ctx := context.Background()
	for _, part := range []func(context.Context) error{process, value, array, queue, pipe, pool, executor, failure} {
		if err := part(ctx); err != nil {
			log.Fatal(err)
		}
	}
}

var greet = proc.RegisterTask("greet", func(_ context.Context, name string) error {
	_, err := fmt.Println("hello,", name)
	return err
})

func process(ctx context.Context) error {
	p, err := greet.Start(ctx, "Ada", nil)
	if err != nil {
		return err
	}
	if err := p.Join(ctx); err != nil { // its error, too
		return err
	}
	code, _ := p.ExitCode()
	fmt.Println("exit code", code)
	return nil
}

var count = proc.RegisterTask("count", func(_ context.Context, counter *shm.Value[int64]) error {
	for range 1000 {
		counter.Do(func(n *int64) { *n++ }) // under its lock
	}
	return nil
})

func value(ctx context.Context) error {
	counter, err := shm.NewValue[int64](0, nil)
	if err != nil {
		return err
	}
	defer counter.Close()
	var processes []*proc.Process
	for range 4 {
		p, err := count.Start(ctx, counter, nil)
		if err != nil {
			return err
		}
		processes = append(processes, p.Process)
	}
	for _, p := range processes {
		if err := p.Join(ctx); err != nil {
			return err
		}
	}
	fmt.Println(counter.Get())
	return nil
}

var squareAll = proc.RegisterTask("square all", func(_ context.Context, numbers *shm.Array[int32]) error {
	numbers.Do(func(v []int32) {
		for i := range v {
			v[i] *= v[i]
		}
	})
	return nil
})

func array(ctx context.Context) error {
	numbers, err := shm.ArrayOf([]int32{2, 3, 6, 7}, nil)
	if err != nil {
		return err
	}
	defer numbers.Close()
	p, err := squareAll.Start(ctx, numbers, nil)
	if err != nil {
		return err
	}
	if err := p.Join(ctx); err != nil {
		return err
	}
	fmt.Println(list(numbers.Copy()), numbers.At(-1), list(numbers.Copy(shm.Omit, shm.Omit, -1)))
	return nil
}

var produce = proc.RegisterTask("produce", func(ctx context.Context, q *shm.Queue[int]) error {
	for i := range 5 {
		if err := q.Put(ctx, i); err != nil {
			return err
		}
	}
	return q.Close() // no item that means the end: this is it, for all consumers
})

func queue(ctx context.Context) error {
	q, err := shm.NewQueue[int](16, nil)
	if err != nil {
		return err
	}
	defer q.Detach()
	p, err := produce.Start(ctx, q, nil)
	if err != nil {
		return err
	}
	sum := 0
	for i, err := range q.All(ctx) {
		if err != nil {
			return err
		}
		sum += i
	}
	fmt.Println(sum)
	return p.Join(ctx)
}

var answer = proc.RegisterTask("answer", func(ctx context.Context, conn *shm.Pipe[string]) error {
	for {
		question, err := conn.Recv(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := conn.Send(ctx, strings.ToUpper(question)); err != nil {
			return err
		}
	}
})

func pipe(ctx context.Context) error {
	ours, theirs, err := shm.NewPipe[string](nil)
	if err != nil {
		return err
	}
	p, err := answer.Start(ctx, theirs, nil)
	if err := errors.Join(err, theirs.Close()); err != nil {
		return err
	}
	if err := ours.Send(ctx, "is anybody there?"); err != nil {
		return err
	}
	reply, err := ours.Recv(ctx)
	if err != nil {
		return err
	}
	fmt.Println(reply)
	return errors.Join(ours.Close(), p.Join(ctx))
}

var square = proc.Register("square", func(_ context.Context, x int) (int, error) { return x * x, nil })

func pool(ctx context.Context) error {
	p, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 2})
	if err != nil {
		return err
	}
	defer p.Terminate()
	numbers := []int{0, 1, 2, 3, 4}

	squares, err := square.Map(ctx, p, numbers, nil)
	if err != nil {
		return err
	}
	fmt.Println(list(squares))

	sum := 0
	for r := range square.MapUnordered(ctx, p, slices.Values(numbers), nil) {
		if r.Err != nil {
			return r.Err
		}
		sum += r.Value
	}
	fmt.Println(sum)

	future := square.Submit(ctx, p, 7)
	limited, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	one, err := future.Get(limited)
	if err != nil {
		return err
	}
	fmt.Println(one)
	return p.Close()
}

func executor(ctx context.Context) error {
	p, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 2})
	if err != nil {
		return err
	}
	defer p.Terminate()
	var futures []*proc.Future[int]
	for x := range 5 {
		futures = append(futures, square.Submit(ctx, p, x))
	}
	sum := 0
	for f := range proc.AsCompleted(ctx, futures...) {
		y, err := f.Get(ctx)
		if err != nil {
			return err
		}
		sum += y
	}
	fmt.Println(sum)
	return p.Close()
}

// A SmallError keeps its type on the way from another process.
type SmallError struct{ X int }

func (e *SmallError) Error() string { return fmt.Sprintf("%d is too small", e.X) }

var _ = proc.RegisterError[*SmallError]("too small")

var fail = proc.Register("fail", func(_ context.Context, x int) (int, error) { return 0, &SmallError{x} })

func failure(ctx context.Context) error {
	p, err := proc.NewPool(ctx, &proc.PoolOptions{Workers: 1})
	if err != nil {
		return err
	}
	defer p.Terminate()
	_, err = fail.Submit(ctx, p, 3).Get(ctx)
	var small *SmallError
	if !errors.As(err, &small) {
		return fmt.Errorf("no SmallError, but %w", err)
	}
	fmt.Println("failed:", small)
	return p.Close()
}

// list prints a slice as Python does.
func list[T any](v []T) string { return strings.ReplaceAll(fmt.Sprint(v), " ", ", ") }
