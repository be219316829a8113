package sync

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// A gate lets one goroutine of this process at a time wait in the kernel for
// one word; the others wait at the gate, each with its own context, and
// cost no thread. The fast path never comes here.
//
// There is exactly one gate per word. A gate shared by two words would
// deadlock: goroutine A waits for word 1 behind the gate, its holder B waits
// for word 2 behind the same gate.
type gate struct {
	shard *gateShard
	word  *atomic.Uint32 // on which it waits; of a lock the lower half
	token chan struct{}  // holds the token while nobody is through; a channel, so that a context can end the wait
	users int            // goroutines at or through the gate, under shard.mu
}

type gateShard struct {
	mu    sync.Mutex
	gates map[*atomic.Uint32]*gate
}

var (
	gateShards [64]gateShard
	gateSeed   = maphash.MakeSeed()
)

// enterGate waits until this goroutine is the only one through. The caller must
// leave.
func enterGate(ctx context.Context, word *atomic.Uint32) (*gate, error) {
	shard := &gateShards[maphash.Comparable(gateSeed, word)%uint64(len(gateShards))]
	shard.mu.Lock()
	g := shard.gates[word]
	if g == nil {
		g = &gate{shard: shard, word: word, token: make(chan struct{}, 1)}
		g.token <- struct{}{}
		if shard.gates == nil {
			shard.gates = make(map[*atomic.Uint32]*gate)
		}
		shard.gates[word] = g
	}
	g.users++
	shard.mu.Unlock()

	select {
	case <-g.token:
		return g, nil
	case <-ctx.Done():
		g.drop()
		return nil, ctx.Err()
	}
}

// leave lets the next goroutine through.
func (g *gate) leave() {
	g.token <- struct{}{}
	g.drop()
}

func (g *gate) drop() {
	g.shard.mu.Lock()
	defer g.shard.mu.Unlock()
	if g.users--; g.users == 0 {
		delete(g.shard.gates, g.word)
	}
}
