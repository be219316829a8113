package shm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/await"
	"github.com/go-multiproc/multiproc/internal/proctest"
	"github.com/go-multiproc/multiproc/internal/roster"
	"github.com/go-multiproc/multiproc/internal/wire"
)

type errand struct {
	Note   string
	In     *Queue[int]
	Out    map[string]*Queue[labelled]
	None   *Queue[int]
	Again  []*Queue[int]
	Number *Array[int]
}

func TestQueueTravelsAnywhereInAValue(t *testing.T) {
	proctest.NoLeaks(t)
	in, out := testQueue[int](t, 3, nil), testQueue[labelled](t, 3, nil)
	want := errand{
		Note: "errand", In: in, Out: map[string]*Queue[labelled]{"out": out}, Again: []*Queue[int]{in},
		Number: testArray(t, nil, 7),
	}
	require.Len(t, sent(t, want).Files, 3, "a queue that occurs twice costs one descriptor")
	got := roundTrip(t, want)
	require.Nil(t, got.None)
	require.NotSame(t, in, got.In)

	// They are one queue, and each handle stays good until it is detached.
	putNow(t, in, 1, 2)
	require.Equal(t, 1, getNow(t, got.In))
	require.Equal(t, 2, getNow(t, got.Again[0]))
	putNow(t, got.Out["out"], labelled{Text: "text"})
	require.Equal(t, labelled{Text: "text"}, getNow(t, out))
	require.NoError(t, got.In.Detach())
	putNow(t, got.Again[0], 3)
	require.NoError(t, got.Again[0].Detach())
	require.Equal(t, 3, getNow(t, in))
	require.NoError(t, got.Out["out"].Detach())
	require.NoError(t, got.Number.Close())
}

// The memory is there as long as one process has the queue, whoever made it.
func TestQueueOutlivesItsMaker(t *testing.T) {
	proctest.NoLeaks(t)
	q, err := NewQueue[int](3, &QueueOptions{Name: "inherited"})
	require.NoError(t, err)
	a, b := hand(t, queuePuppet, q), hand(t, queuePuppet, q)
	tellPuppet(t, a, "put 1", "ok") // it has the queue
	tellPuppet(t, b, "put 2", "ok")
	require.NoError(t, q.Detach())
	require.Zero(t, mapped(t, "inherited"))
	tellPuppet(t, a, "get", "1")
	tellPuppet(t, a, "put 3", "ok")
	a.Kill(t)
	tellPuppet(t, b, "get", "2")
	tellPuppet(t, b, "get", "3")
}

func TestQueueDetach(t *testing.T) {
	proctest.NoLeaks(t)
	q, err := NewQueue[int](3, &QueueOptions{Tasks: true, Name: "detached"})
	require.NoError(t, err)
	s, err := NewQueue[string](3, &QueueOptions{Name: "other-detached"})
	require.NoError(t, err)
	bytes, err := NewQueue[[]byte](3, nil)
	require.NoError(t, err)
	require.NoError(t, q.Register(t.Context()))
	require.Equal(t, 1, mapped(t, "detached"))
	require.NoError(t, q.Detach())
	require.NoError(t, s.Detach())
	require.NoError(t, bytes.Detach())
	require.Zero(t, mapped(t, "detached"))
	require.Zero(t, mapped(t, "other-detached"))

	ctx := t.Context()
	for name, fn := range map[string]func() error{
		"Put":           func() error { return q.Put(ctx, 1) },
		"Put record":    func() error { return s.Put(ctx, "a") },
		"TryPut":        func() error { return q.TryPut(1) },
		"PutAll":        func() error { _, err := q.PutAll(ctx, []int{1}); return err },
		"PutFunc":       func() error { return q.PutFunc(ctx, func(*int) error { return nil }) },
		"PutBytesFunc":  func() error { return PutBytesFunc(ctx, bytes, 1, func([]byte) error { return nil }) },
		"Get":           func() error { _, err := q.Get(ctx); return err },
		"Get record":    func() error { _, err := s.Get(ctx); return err },
		"TryGet":        func() error { _, err := q.TryGet(); return err },
		"GetUpTo":       func() error { _, err := q.GetUpTo(ctx, make([]int, 1)); return err },
		"GetUpTo texts": func() error { _, err := s.GetUpTo(ctx, make([]string, 1)); return err },
		"GetFunc":       func() error { return q.GetFunc(ctx, func(*int) error { return nil }) },
		"GetFunc texts": func() error { return s.GetFunc(ctx, func(*string) error { return nil }) },
		"GetBytesFunc":  func() error { return GetBytesFunc(ctx, bytes, func([]byte) error { return nil }) },
		"Close":         func() error { return q.Close() },
		"Detach":        func() error { return q.Detach() },
		"Register":      func() error { return q.Register(ctx) },
		"Join":          func() error { return q.Join(ctx) },
		"travel":        func() error { _, err := wire.Encode(reflect.ValueOf(q)); return err },
		"Done":          func() error { return panicOf(t, func() { q.Done(0) }) },
		"Deregister":    func() error { return panicOf(t, q.Deregister) },
		"a zero queue":  func() error { return new(Queue[int]).Put(ctx, 1) },
	} {
		err := fn()
		require.ErrorIs(t, err, ErrClosed, name)
		var e *Error
		require.ErrorAs(t, err, &e, name)
	}
	for _, err := range q.All(ctx) { // unlike the end of a closed queue
		require.ErrorIs(t, err, ErrClosed)
	}
	require.Zero(t, q.Len())
	require.Zero(t, q.Cap())
	require.Equal(t, "shm.Queue[int](detached)", q.String())
	ready, err := await.Any(ctx, []await.Source{q})
	require.NoError(t, err)
	require.Len(t, ready, 1)
}

// Detach is no Close: the others go on.
func TestQueueDetachWhileOthersGoOn(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 3, nil)
	p := hand(t, queuePuppet, q)
	p.Tell(t, "get")
	awaitQueueSleepers(t, p.Pid(), 1)
	other := roundTrip(t, q)
	putNow(t, other, 1)
	require.NoError(t, other.Detach())
	p.Expect(t, "1")
	tellPuppet(t, p, "detach", "ok")
	tellPuppet(t, p, "put 2", saysDetached("int", "put"))
	putNow(t, q, 2)
	require.Equal(t, 2, getNow(t, q))
}

// A process can have a queue open as often as it likes, in one entry of the table
// of members, and again after it gave it up.
func TestQueueHandlesShareOneEntry(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 3, nil)
	p := hand(t, queuePuppet, q)
	for i := range 10 {
		tellPuppet(t, p, fmt.Sprint("put ", i), "ok")
		other, third := roundTrip(t, q), roundTrip(t, q)
		require.Same(t, q.ring.members.me, other.ring.members.me)
		require.NoError(t, other.Detach())
		require.NoError(t, third.Detach())
		require.Equal(t, i, getNow(t, q))
	}
	require.EqualValues(t, 2, q.ring.words.highest.Load())
	for range 10 { // those that come later take the entries of those that have gone
		p := hand(t, queuePuppet, q)
		tellPuppet(t, p, "put 1", "ok")
		require.Equal(t, 1, getNow(t, q))
		p.Kill(t)
	}
	require.EqualValues(t, 3, q.ring.words.highest.Load())
}

func TestQueueTableIsFull(t *testing.T) {
	proctest.NoLeaks(t)
	q := testQueue[int](t, 3, nil)
	p := hand(t, queuePuppet, q)
	tellPuppet(t, p, "put 1", "ok")
	id := ownerOf(&q.ring.members.entries[1])
	for i := 2; i < memberCount; i++ { // as if other processes had taken them, all alive
		q.ring.members.entries[i].owner.Store(uint64(id))
	}
	q.ring.words.highest.Store(memberCount)
	fails := queueStranger.Start(t, nil)
	require.NoError(t, fails.Wait(t))

	late := hand(t, queueLatecomer, q)
	late.Expect(t, `shm: queue "int": attach: full: 512 processes have it open`)
	late.Expect(t, "shm: queue: put: detached")
	require.NoError(t, late.Wait(t))
	require.NoError(t, roundTrip(t, q).Detach(), "who has it open already can open it again")

	p.Kill(t) // and with it all of its entries are free
	p = hand(t, queuePuppet, q)
	tellPuppet(t, p, "get", "1")
	require.Equal(t, 1, q.Cap()-2)
}

// queueLatecomer receives a queue, fails, and has no queue.
var queueLatecomer = proctest.Register("queue latecomer", func(h *proctest.Helper) error {
	q, err := take[*Queue[int]](h)
	if errors.Unwrap(err) != nil {
		var e *Error
		if errors.As(err, &e) && errors.Is(err, ErrFull) {
			h.Say(e.Error())
		}
	}
	if q == nil {
		q = new(Queue[int])
	}
	h.Say(fmt.Sprint(q.Put(context.Background(), 1)))
	return nil
})

// queueStranger has no roster of its own yet when it makes a queue.
var queueStranger = proctest.Register("queue stranger", func(*proctest.Helper) error {
	if roster.Me() != 0 {
		return errors.New("it is in the roster already")
	}
	q, err := NewQueue[int](1, nil)
	if err != nil {
		return err
	}
	if err := q.TryPut(1); err != nil {
		return err
	}
	return q.Detach()
})

func TestQueueTravelsInMessagesOnly(t *testing.T) {
	q := testQueue[int](t, 1, nil)
	for name, fn := range map[string]func() error{
		"itself":    func() error { _, err := q.MarshalCBOR(); return err },
		"cbor":      func() error { _, err := cbor.Marshal([]any{q}); return err },
		"receiving": func() error { return new(Queue[int]).UnmarshalCBOR([]byte{0x85, 0, 0, 0, 0, 0xf4}) },
	} {
		require.ErrorIs(t, fn(), wire.ErrNoMessage, name)
	}
	require.ErrorContains(t, wire.Check(reflect.TypeFor[struct{ Q Queue[int] }]()), "use *shm.Queue[int]")
}

// Another kind of object, or other items, are refused.
func TestQueueReceiveRefusesOtherTypes(t *testing.T) {
	proctest.NoLeaks(t)
	numbers := sent(t, testQueue[int32](t, 3, nil))
	texts := sent(t, testQueue[string](t, 3, nil))
	tasks := sent(t, testQueue[int32](t, 3, &QueueOptions{Tasks: true}))
	array := sent(t, testArray[int32](t, nil, 1))
	a, b, err := NewPipe[int32](nil)
	require.NoError(t, err)
	defer func() { require.NoError(t, errors.Join(a.Close(), b.Close())) }()
	for name, err := range map[string]error{
		"wider":               received[Queue[int64]](numbers),
		"unsigned":            received[Queue[uint32]](numbers),
		"records for slots":   received[Queue[string]](numbers),
		"slots for records":   received[Queue[int32]](texts),
		"other records":       received[Queue[[]byte]](texts),
		"an array":            received[Queue[int32]](array),
		"a queue as an array": received[Array[int32]](numbers),
		"a queue as a value":  received[Value[int32]](numbers),
		"a queue as a pipe":   received[Pipe[int32]](numbers),
	} {
		require.Error(t, err, name)
	}
	require.ErrorIs(t, received[Queue[int64]](numbers), ErrLayout)
	require.ErrorContains(t, received[Queue[int64]](numbers), `expected queue of int64, found queue of other elements, of 4 bytes`)

	// Whether tasks are counted, the queue knows itself.
	var q *Queue[int32]
	require.NoError(t, wire.Decode(tasks, reflect.ValueOf(&q).Elem()))
	require.NoError(t, q.Join(t.Context()))
	require.NoError(t, q.Detach())
}

func TestForgottenQueueIsReported(t *testing.T) {
	proctest.NoLeaks(t)
	warnings := record(t)
	q, err := NewQueue[int](1, &QueueOptions{Name: "detached"})
	require.NoError(t, err)
	received := roundTrip(t, q)
	require.NoError(t, q.Detach())
	m := received.ring.mapping

	forgotten := func() *mapping {
		q, err := NewQueue[string](1, &QueueOptions{Name: "a-queue"})
		require.NoError(t, err)
		return q.ring.mapping
	}()
	require.Equal(t, "name=a-queue", warnings.next(), "and nothing about the detached or the received one")
	require.Equal(t, 1, mapped(t, "a-queue"), "nothing is unmapped behind somebody's back")
	require.NoError(t, forgotten.release())
	require.NoError(t, m.release())
}

// A queue is ready to be waited for when Get would not wait.
func TestQueueAwait(t *testing.T) {
	proctest.NoLeaks(t)
	a, b := testQueue[int](t, 3, nil), testQueue[string](t, 3, nil)
	p := hand(t, queuePuppet, a)
	sources := []await.Source{a, b}
	ready := func() []int {
		t.Helper()
		indexes, err := await.Any(expired(), sources)
		if err != nil {
			require.Equal(t, context.Canceled, err)
		}
		return indexes
	}
	wait := func(want ...int) func() error {
		return func() error {
			indexes, err := await.Any(context.Background(), sources)
			if !reflect.DeepEqual(indexes, want) {
				err = errors.Join(err, fmt.Errorf("%v are ready, want %v", indexes, want))
			}
			return err
		}
	}
	require.Empty(t, ready())
	putNow(t, b, "b")
	require.Equal(t, []int{1}, ready())
	putNow(t, a, 1)
	require.Equal(t, []int{0, 1}, ready())
	require.Equal(t, "b", getNow(t, b))
	require.Equal(t, 1, getNow(t, a))
	require.Empty(t, ready())

	waits := sleepsIn(t, wait(0))
	tellPuppet(t, p, "put 2", "ok")
	require.NoError(t, <-waits)
	require.Equal(t, 2, getNow(t, a))

	// It takes nothing, also not the wake for somebody who does.
	waits = sleepsIn(t, wait(0))
	got := waitingAtAll(gets(a, 3))
	awaitQueueSleepers(t, os.Getpid(), 2)
	tellPuppet(t, p, "hold-put 3", "holding") // ... until the sleepers are there
	tellPuppet(t, p, "go on", "ok")
	require.NoError(t, <-got)
	select {
	case err := <-waits: // it was there first
		require.NoError(t, err)
	default:
		putNow(t, a, 4)
		require.NoError(t, <-waits)
		require.Equal(t, 4, getNow(t, a))
	}

	tellPuppet(t, p, "register", "ok")
	waits = sleepsIn(t, wait(0))
	p.Kill(t) // the last producer
	require.NoError(t, <-waits)
	waits = sleepsIn(t, func() error { _, err := await.Any(context.Background(), sources[1:]); return err })
	require.NoError(t, b.Close())
	require.NoError(t, <-waits)
}
