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
// There is exactly one gate for each thing that is waited for. A gate shared by
// two would deadlock: goroutine A waits for the first behind the gate, its holder B
// waits for the second behind the same gate.
type gate struct {
	shard *gateShard
	key   gateKey
	token chan struct{} // holds the token while nobody is through; a channel, so that a context can end the wait
	users int           // goroutines at or through the gate, under shard.mu
}

// A gateKey names what is waited for.
type gateKey struct {
	word  *atomic.Uint32 // on which it waits; of a lock the lower half
	round uint32         // of a word that serves one wait after the other, which one; else 0
}

type gateShard struct {
	mu    sync.Mutex
	gates map[gateKey]*gate
}

var (
	gateShards [64]gateShard
	gateSeed   = maphash.MakeSeed()
)

// enterGate waits until this goroutine is the only one through. The caller must
// leave.
func enterGate(ctx context.Context, word *atomic.Uint32) (*gate, error) {
	return enterRound(ctx, word, 0)
}

// enterRound is enterGate for a word where a wait for a later round must not
// hold up one who still has to learn that an earlier round is over.
func enterRound(ctx context.Context, word *atomic.Uint32, round uint32) (*gate, error) {
	shard := &gateShards[maphash.Comparable(gateSeed, word)%uint64(len(gateShards))]
	key := gateKey{word, round}
	shard.mu.Lock()
	g := shard.gates[key]
	if g == nil {
		g = &gate{shard: shard, key: key, token: make(chan struct{}, 1)}
		g.token <- struct{}{}
		if shard.gates == nil {
			shard.gates = make(map[gateKey]*gate)
		}
		shard.gates[key] = g
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
		delete(g.shard.gates, g.key)
	}
}
