package shm_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-multiproc/multiproc/shm"
	psync "github.com/go-multiproc/multiproc/sync"
)

// The array travels to other processes inside the arguments of package proc;
// each of them then does what this one does here.
func Example() {
	squares, err := shm.ArrayOf([]int32{2, 3, 6, 7}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer squares.Close()

	squares.Do(func(v []int32) {
		for i := range v {
			v[i] *= v[i]
		}
	})
	fmt.Println(squares.Copy())
	// Output: [4 9 36 49]
}

func ExampleArray() {
	a, err := shm.NewArray[float64](3, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()

	a.Set(0, 1.5)
	a.Set(-1, 2.5) // the last one
	for i, v := range a.All() {
		fmt.Println(i, v)
	}
	// Output:
	// 0 1.5
	// 1 0
	// 2 2.5
}

func ExampleArray_Copy() {
	a, err := shm.ArrayOf([]int{0, 1, 2, 3, 4}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()

	fmt.Println(a.Copy())                         // a[:]
	fmt.Println(a.Copy(2))                        // a[2:]
	fmt.Println(a.Copy(0, -1))                    // a[0:-1]
	fmt.Println(a.Copy(shm.Omit, shm.Omit, 2))    // a[::2]
	fmt.Println(a.Copy(shm.Omit, shm.Omit, -1))   // a[::-1]
	fmt.Println(a.Assign([]int{10, 30}, 1, 4, 2)) // a[1:4:2] = [10, 30]
	fmt.Println(a.Copy())
	fmt.Println(a.Assign([]int{7, 8, 9}, 0, 2))
	// Output:
	// [0 1 2 3 4]
	// [2 3 4]
	// [0 1 2 3]
	// [0 2 4]
	// [4 3 2 1 0]
	// <nil>
	// [0 10 2 30 4]
	// shm: array "int": assign: wrong size: 3 values for 2 elements
}

// A holder of the lock may die half-way. Who can repair the data takes the lock
// with LockContext.
func ExampleArray_LockContext() {
	a, err := shm.NewArray[int](2, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()

	err = a.LockContext(context.Background())
	switch {
	case errors.Is(err, psync.ErrOwnerDied):
		clear(a.View()) // the repair
		a.MarkConsistent()
	case err != nil:
		fmt.Println(err)
		return
	}
	defer a.Unlock()
	fmt.Println(a.View())
	// Output: [0 0]
}

func ExampleValue() {
	hits, err := shm.NewValue[int64](40, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer hits.Close()

	// Set(Get()+1) would lose what another process adds between the two.
	hits.Do(func(n *int64) { *n++ })
	hits.Do(func(n *int64) { *n++ })
	fmt.Println(hits.Get())
	// Output: 42
}

func ExamplePlace() {
	type board struct {
		Mu   psync.Mutex // zero is an unlocked lock
		Next int32
		Jobs [8]int32
	}
	s, err := shm.Create("board", 4096)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	b, err := shm.Place[board](s, 64)
	if err != nil {
		fmt.Println(err)
		return
	}
	b.Mu.Lock()
	b.Jobs[b.Next] = 7
	b.Next++
	b.Mu.Unlock()

	// A child process gets s.File() and does the same.
	peer, err := shm.Attach(s.File())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer peer.Close()
	there, err := shm.Place[board](peer, 64)
	fmt.Println(there.Next, there.Jobs[0], err)

	_, err = shm.Place[struct{ Name string }](s, 0)
	fmt.Println(err)
	// Output:
	// 1 7 <nil>
	// shm: segment "board": place struct { Name string }: type cannot be shared: struct { Name string }.Name is a string: it holds a pointer
}

func ExampleSegment() {
	s, err := shm.Create("greeting", 5)
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := shm.PlaceSlice[byte](s, 0, s.Size())
	if err != nil {
		fmt.Println(err)
		return
	}
	copy(text, "hello")
	fmt.Printf("%s: %s\n", s.Name(), text)
	fmt.Println(s.Close()) // text must not be used any more
	fmt.Println(s.Close())
	// Output:
	// greeting: hello
	// <nil>
	// shm: segment "greeting": close: closed
}

func ExampleNewArrayCode() {
	code, err := shm.ParseCode("h")
	if err != nil {
		fmt.Println(err)
		return
	}
	a, err := shm.NewArrayCode(code, 3, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	switch a := a.(type) {
	case *shm.Array[int16]:
		a.Set(0, -1)
		fmt.Println(a, a.Copy())
	default:
		fmt.Println("not asked for:", a)
	}
	_, err = shm.ParseCode("x")
	fmt.Println(err)
	// Output:
	// shm.Array[int16](3) [-1 0 0]
	// unknown type code "x": the codes are b B h H i I l L q Q f d
}

func ExampleText() {
	a, err := shm.NewArray[byte](8, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	fmt.Println(shm.SetText(a, []byte("hello")))
	fmt.Println(shm.SetText(a, []byte("hi")))
	fmt.Printf("%s %q\n", shm.Text(a), a.Copy())
	// Output:
	// <nil>
	// <nil>
	// hi "hi\x00lo\x00\x00\x00"
}

func ExampleAdd() {
	a, err := shm.NewArray[int32](4, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close()
	fmt.Println(shm.Add(a, -1, 5), shm.CompareAndSwap(a, -1, 5, 6), a.At(3))
	// Output: 5 true 6
}
