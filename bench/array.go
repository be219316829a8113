package main

import (
	"context"
	"time"

	"github.com/go-multiproc/multiproc/shm"
)

const (
	arrayLength = 1000
	arrayPasses = 20_000
)

// arraySubject: one access to one element.
func arraySubject(p *programs) (*subject, error) {
	a, err := shm.NewArray[int32](arrayLength, nil)
	if err != nil {
		return nil, err
	}
	slice, view := make([]int32, arrayLength), a.View()
	contend := func(name string, passes int, pass func()) *contender {
		return &contender{Name: name, run: func(context.Context) ([]float64, error) {
			begin := time.Now()
			for range passes {
				pass()
			}
			return each(begin, passes*arrayLength), nil
		}}
	}
	const pythonLocked, pythonRaw = "200000", "1000000"
	return &subject{
		Title:  "An element of an array",
		Unit:   "ns",
		Method: "Walk over an array of 1000 32-bit integers again and again; the figure is the time of one element, the loop included. At and Set take the array's recursive lock for each access, as CPython's Array does. A View is a Go slice, so both rows of a pair run the same machine code.",
		Rounds: 9,
		Contenders: []*contender{
			contend("Go slice, get", arrayPasses, func() { sumSlice(slice) }),
			contend("Array.View, get", arrayPasses, func() { sumSlice(view) }),
			contend("Go slice, set", arrayPasses, func() { fillSlice(slice) }),
			contend("Array.View, set", arrayPasses, func() { fillSlice(view) }),
			contend("Array.At", arrayPasses/10, func() { sumArray(a) }),
			p.py("CPython Array, get", "elements.py", "locked", "get", pythonLocked),
			contend("Array.Set", arrayPasses/10, func() { fillArray(a) }),
			p.py("CPython Array, set", "elements.py", "locked", "set", pythonLocked),
			p.py("CPython RawArray, get", "elements.py", "raw", "get", pythonRaw),
			p.py("CPython RawArray, set", "elements.py", "raw", "set", pythonRaw),
		},
		Targets: []target{
			faster("Array.At", 20, "CPython Array, get"),
			faster("Array.Set", 20, "CPython Array, set"),
			atMost("Array.View, get", 1.05, "Go slice, get"), // 1.0, and what measuring costs
			atMost("Array.View, set", 1.05, "Go slice, set"),
		},
		close: a.Close,
	}, nil
}

//go:noinline
func sumSlice(v []int32) (sum int32) {
	for _, x := range v {
		sum += x
	}
	return sum
}

//go:noinline
func fillSlice(v []int32) {
	for i := range v {
		v[i] = 7
	}
}

//go:noinline
func sumArray(a *shm.Array[int32]) (sum int32) {
	for i := range arrayLength {
		sum += a.At(i)
	}
	return sum
}

//go:noinline
func fillArray(a *shm.Array[int32]) {
	for i := range arrayLength {
		a.Set(i, 7)
	}
}
