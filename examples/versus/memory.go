package main

import (
	"context"

	"github.com/go-multiproc/multiproc/internal/measure"
	"github.com/go-multiproc/multiproc/proc"
	"github.com/go-multiproc/multiproc/shm"
)

var variable int32 // each process has its own

// write changes a variable and a shared array.
func write(array *shm.Array[int32]) {
	variable = 1
	array.Set(0, 1)
}

var writeTask = proc.RegisterTask("write", func(_ context.Context, array *shm.Array[int32]) error {
	write(array)
	return nil
})

// memory has each kind write, and looks who sees it.
func memory(ctx context.Context, _ sizes) (*measure.Table, error) {
	array, err := shm.NewArray[int32](1, nil)
	if err != nil {
		return nil, err
	}
	defer array.Close()
	t := measure.NewTable("1. Memory: does main see what was written?", "written by", "to a variable", "to a shared array")
	add := func(kind string) {
		t.Add(kind, yes(variable == 1), yes(array.At(0) == 1))
		variable = 0
		array.Set(0, 0)
	}

	together(1, false, func(int) { write(array) })
	add(goroutine)
	together(1, true, func(int) { write(array) })
	add(thread)
	p, err := writeTask.Start(ctx, array, nil)
	if err != nil {
		return nil, err
	}
	if err := p.Join(ctx); err != nil {
		return nil, err
	}
	add(process)
	return t, nil
}

func yes(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}
