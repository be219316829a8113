//go:build stress

package shm

import (
	"context"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-multiproc/multiproc/internal/proctest"
)

const (
	lifeItems  = 1 << 16 // most items of one producer's life; then it waits to be killed
	batchItems = 8
)

// campaignKills is how many processes are killed: 10,000, or what make stress
// was told.
func campaignKills(t *testing.T) int {
	kills := 10_000
	if n := os.Getenv("MULTIPROC_KILLS"); n != "" {
		var err error
		kills, err = strconv.Atoi(n)
		require.NoError(t, err)
	}
	return kills
}

// A campaign is what its processes share.
type campaign struct {
	Queue *Queue[int64]
	Lives *Array[life]
	Seen  *Array[atomic.Uint32] // a bit for each item that was got
}

// note takes down that an item was got, and reports whether that is news.
func (c *campaign) note(item int64) bool {
	bit := uint32(1) << (item % 32)
	return c.Seen.View()[item/32].Or(bit)&bit == 0
}

// noted returns how many of the first n items of a life were got.
func (c *campaign) noted(life int, n uint64) (sum int) {
	words := c.Seen.View()[life*lifeItems/32:][:lifeItems/32]
	for i := range words {
		w := &words[i]
		if first := uint64(i) * 32; first+32 > n {
			return sum + bits.OnesCount32(w.Load()&(1<<(n-first)-1))
		}
		sum += bits.OnesCount32(w.Load())
	}
	return sum
}

// A life is one process, from its start until it is killed.
type life struct {
	begun atomic.Uint64 // a producer: items that it has begun to put
	done  atomic.Uint64 // and those that it has put
	hand  atomic.Uint64 // a consumer: items that it may have in hand, not noted yet
	twice atomic.Uint64 // items that somebody had got before
	item  atomic.Uint64 // and which one it has in hand, if that is known: 1 + its number
}

var campaignProducer = proctest.Register("campaign producer", func(h *proctest.Helper) error {
	withoutLooks()
	c, err := take[campaign](h)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(h.Args[0])
	if err != nil {
		return err
	}
	me, ctx := &c.Lives.View()[number], context.Background()
	items := make([]int64, 0, batchItems)
	for n := 0; n < lifeItems; n += len(items) {
		items = items[:0]
		for range 1 + n%batchItems {
			if n+len(items) < lifeItems {
				items = append(items, int64(number*lifeItems+n+len(items)))
			}
		}
		if number%3 != 0 {
			items = items[:1]
		}
		me.begun.Add(uint64(len(items)))
		switch number % 3 {
		case 0:
			_, err = c.Queue.PutAll(ctx, items)
		case 1:
			err = c.Queue.Put(ctx, items[0])
		case 2:
			err = c.Queue.PutFunc(ctx, func(item *int64) error { *item = items[0]; return nil })
		}
		if err != nil {
			return err
		}
		me.done.Add(uint64(len(items)))
	}
	_, err = h.Listen() // until it is killed
	return err
})

var campaignConsumer = proctest.Register("campaign consumer", func(h *proctest.Helper) error {
	withoutLooks()
	c, err := take[campaign](h)
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(h.Args[0])
	if err != nil {
		return err
	}
	me, ctx := &c.Lives.View()[number], context.Background()
	items := make([]int64, batchItems)
	for {
		n := 1
		switch number % 3 {
		case 0:
			me.hand.Store(batchItems)
			n, err = c.Queue.GetUpTo(ctx, items)
		case 1:
			me.hand.Store(1)
			items[0], err = c.Queue.Get(ctx)
		case 2:
			err = c.Queue.GetFunc(ctx, func(item *int64) error {
				items[0] = *item
				me.item.Store(uint64(*item) + 1)
				return nil
			})
		}
		if err != nil {
			return err
		}
		for _, item := range items[:n] {
			if !c.note(item) {
				me.twice.Add(1)
			}
		}
		me.hand.Store(0)
		me.item.Store(0)
	}
})

// Two producers and two consumers are killed at random instants, ten thousand
// times, and replaced. They look at nothing on their own account: who is not
// woken hangs. What was put is got once; what nobody has put never is; what a
// dead consumer had in hand, and nothing else, is lost.
func TestStressQueueKills(t *testing.T) {
	proctest.NoLeaks(t)
	withoutLooks()
	q, err := NewQueue[int64](16, nil)
	require.NoError(t, err)
	kills := campaignKills(t)
	lives, err := NewArray[life](kills+200, &Options{NoLock: true})
	require.NoError(t, err)
	seen, err := NewArray[atomic.Uint32]((kills+200)*lifeItems/32, &Options{NoLock: true})
	require.NoError(t, err)
	c := campaign{q, lives, seen}
	defer func() {
		require.NoError(t, q.Detach())
		require.NoError(t, lives.Close())
		require.NoError(t, seen.Close())
	}()

	started, killed := 0, 0
	for killed < kills && !t.Failed() {
		t.Run(fmt.Sprint(killed), func(t *testing.T) { // whose end closes the pipes of its helpers
			var place [4]*proctest.Proc
			var lives [4]int
			start := func(i int) {
				p := campaignProducer
				if i%2 == 1 {
					p = campaignConsumer
				}
				place[i], lives[i] = hand(t, p, c, strconv.Itoa(started)), started
				started++
			}
			for i := range place {
				start(i)
			}
			for range 100 - 2*len(place) {
				i := rand.IntN(len(place))
				<-time.After(time.Duration(rand.IntN(1000)) * time.Microsecond)
				place[i].Kill(t)
				killed++
				// Those who are left go on before anybody comes: that would wake all.
				c.awaitProgress(t, producersBut(lives, i))
				start(i)
			}
			for i := range place { // producers that have not come to their end
				place[i].Kill(t)
				killed++
				start(i)
			}
			c.awaitProgress(t, producersBut(lives, -1))
			for _, p := range place {
				p.Kill(t)
				killed++
			}
		})
	}
	c.settle(t, started)
}

// producersBut returns the lives of the producers that are there without one.
func producersBut(lives [4]int, without int) (left []int) {
	for i := 0; i < len(lives); i += 2 {
		if i != without {
			left = append(left, lives[i])
		}
	}
	return left
}

// awaitProgress returns when items have gone through the queue, so that nobody
// hangs, or when the producers are through and all is got.
func (c *campaign) awaitProgress(t *testing.T, producers []int) {
	t.Helper()
	const enough = 20
	words := c.Queue.ring.words
	begin, head := time.Now(), position(words.head.Load())
	for position(words.head.Load()).items()-head.items() < enough {
		through := c.Queue.Len() == 0
		for _, number := range producers {
			through = through && c.Lives.View()[number].done.Load() == lifeItems
		}
		if through {
			return
		}
		if time.Since(begin) > time.Minute {
			t.Fatal("nothing moves: ", c.Queue)
		}
		<-time.After(100 * time.Microsecond)
	}
}

// settle gets what is left and closes the account.
func (c *campaign) settle(t *testing.T, started int) {
	for {
		item, err := c.Queue.TryGet()
		if err != nil {
			require.ErrorIs(t, err, ErrEmpty)
			break
		}
		require.True(t, c.note(item), "item %d was got before", item)
	}
	words := c.Queue.ring.words
	put, got := position(words.tail.Load()).items(), position(words.head.Load()).items()
	require.Equal(t, put, got)

	noted, hands, known, surely := 0, 0, 0, 0
	var begun, done uint64
	for i := range started {
		l := &c.Lives.View()[i]
		require.Zero(t, l.twice.Load(), "life %d got items that were got before", i)
		begun += l.begun.Load()
		done += l.done.Load()
		hands += int(l.hand.Load())
		all := c.noted(i, lifeItems)
		require.Equal(t, c.noted(i, l.begun.Load()), all, "items of life %d were got that it has not put", i)
		noted += all
		surely += int(l.done.Load()) - c.noted(i, l.done.Load())
		if item := int64(l.item.Load()) - 1; item >= 0 && c.Seen.View()[item/32].Load()>>(item%32)&1 == 0 {
			known++
		}
	}
	require.GreaterOrEqual(t, uint64(put), done)
	require.LessOrEqual(t, uint64(put), begun)
	lost := int(got) - noted
	require.GreaterOrEqual(t, lost, surely)
	require.LessOrEqual(t, lost, hands+known, "more is lost than dead consumers had in hand")
	proctest.Verified(t, "stress", "queue, processes killed at random instants",
		"%d kills; %d items put, %d got, none twice; %d died in the hands of killed consumers, who could have had %d; nobody hung", started, put, noted, lost, hands+known)
}
