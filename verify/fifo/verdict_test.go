package fifo

import (
	"cmp"
	"fmt"
	"slices"
)

// The verdict on a long history. If each item is put once, a history is one of a
// queue exactly if none of these is in it (Henzinger, Sezgin, Vafeiadis:
// Aspect-oriented linearizability proofs, 2013); "before" means that one had
// returned when the other began:
//
//	fresh    an item that was got before it was put, or never put
//	repeat   an item that was got twice
//	order    a was put before b, and b was got before a, or a was never got
//	witness  empty was answered, but all the time some item was surely there
//
// Each takes one sort. To these come: the order of one client, of which several
// operations may be under way together; what is lost with a killed client; the
// capacity; and the end. Operations that never returned are decided first: a put
// took effect if its item was got; a get took away one of the items that are
// missing, if there is one for it.

// A life is an item's: when it was put, and when it was got, by whom.
type life struct {
	item
	put, got op // got.call is never if it was not got
}

// verdict returns what is wrong with a history; and how many items were lost with
// who had got them.
func verdict(h *history) (missing int, err error) {
	v := &trial{history: h}
	for _, condition := range []func() error{v.pair, v.lost, v.order, v.programOrder, v.witness, v.count, v.end} {
		if err := condition(); err != nil {
			return 0, err
		}
	}
	return v.missing, nil
}

// A trial is a history on its way to a verdict.
type trial struct {
	*history
	lives   []*life
	perhaps []op // pending puts of items that nobody got
	gets    []op // pending
	empties []op // answers that there was nothing
	missing int
}

// unsure tells that the answer may be due to the patience of an operation that
// does not wait having ended.
func (o op) unsure() bool { return o.outcome == no && o.ret-o.call >= patience }

// pair finds the put and the get of each item: conditions fresh and repeat.
func (v *trial) pair() error {
	of := map[item]*life{}
	over := v.over()
	for _, o := range v.ops {
		if o.kind == put && o.outcome <= ok {
			o.ret = min(o.ret, over)
			if of[o.item] != nil {
				return fmt.Errorf("bad history: put twice: %v", o)
			}
			of[o.item] = &life{item: o.item, put: o, got: op{call: never, ret: never}}
		}
	}
	for _, o := range v.ops {
		switch {
		case o.kind != get:
		case o.outcome == pending:
			v.gets = append(v.gets, o)
		case o.outcome == ok:
			l := of[o.item]
			switch {
			case l == nil:
				return fmt.Errorf("never put: %v", o)
			case l.got.call != never:
				return fmt.Errorf("got twice: %v and %v", l.got, o)
			case o.ret < l.put.call:
				return fmt.Errorf("got before it was put: %v and %v", o, l.put)
			}
			l.got = o
		case (o.outcome == no || o.outcome == closed) && !o.unsure():
			v.empties = append(v.empties, o)
		}
	}
	for _, l := range of {
		if l.put.outcome == pending && l.got.call == never {
			v.perhaps = append(v.perhaps, l.put)
		} else {
			v.lives = append(v.lives, l)
		}
	}
	slices.SortFunc(v.lives, func(a, b *life) int { return cmp.Compare(a.put.call, b.put.call) })
	return nil
}

// lost finds, for each item that must have been got and was not, a get that never
// returned. Such an item was gone when a later one was got, or when there was
// nothing. Those that must be gone first get the get that was over first; if
// there is a way to share them out, this is one.
func (v *trial) lost() error {
	var later, earlier bound
	for _, l := range v.lives {
		if l.got.call != never {
			later.add(l.put.call, l.got.ret)
			earlier.add(l.put.ret, l.got.call)
		}
	}
	for _, o := range v.empties {
		later.add(o.call, o.ret)
	}
	gone, notBefore := later.leastAfter(), earlier.greatestBefore()
	sealed := v.sealed()
	clients := map[int][]*life{}
	for _, l := range v.lives {
		clients[l.put.client] = append(clients[l.put.client], l)
	}

	type want struct {
		*life
		from, to int64
	}
	var wants []want
	for _, mine := range clients {
		slices.SortFunc(mine, func(a, b *life) int { return cmp.Compare(a.put.turn, b.put.turn) })
		next := sealed // when an item after this one was got
		for _, l := range slices.Backward(mine) {
			if l.got.call != never {
				next = min(next, l.got.ret)
			} else if to := min(gone(l.put.ret), next); to != never {
				wants = append(wants, want{life: l, to: to})
			}
		}
	}
	for i := range wants {
		w := &wants[i]
		w.from = max(w.put.call, notBefore(w.put.call))
		for _, l := range clients[w.put.client] {
			if l.put.turn < w.put.turn && l.got.call != never {
				w.from = max(w.from, l.got.call)
			}
		}
	}
	slices.SortFunc(wants, func(a, b want) int {
		return cmp.Or(cmp.Compare(a.to, b.to), cmp.Compare(a.put.call, b.put.call), cmp.Compare(a.put.turn, b.put.turn))
	})
	gets := slices.Clone(v.gets)
	slices.SortFunc(gets, func(a, b op) int { return cmp.Or(cmp.Compare(a.ret, b.ret), cmp.Compare(a.turn, b.turn)) })
	for _, w := range wants {
		i := slices.IndexFunc(gets, func(o op) bool { return o.call <= w.to && o.ret >= w.from })
		if i < 0 {
			return fmt.Errorf("lost, and nobody was killed who can have had it: %v; it was gone at %d", w.put, w.to)
		}
		w.got = gets[i]
		gets = slices.Delete(gets, i, i+1)
		v.missing++
	}
	// A put that never returned took effect until then, if at all.
	for i := range v.perhaps {
		p := &v.perhaps[i]
		p.ret = min(gone(p.ret), sealed)
	}
	return nil
}

// over is when it was surely closed. What was put had taken effect by then.
func (v *trial) over() int64 {
	t := int64(never)
	for _, o := range v.ops {
		if o.kind == shut && o.outcome == ok || o.outcome == closed {
			t = min(t, o.ret)
		}
	}
	return t
}

// sealed is when somebody was told that nothing more will come.
func (v *trial) sealed() int64 {
	t := int64(never)
	for _, o := range v.empties {
		if o.outcome == closed {
			t = min(t, o.ret)
		}
	}
	return t
}

// order looks, for each item, at the last get of all that were put before it.
func (v *trial) order() error {
	var before bound
	for _, l := range v.lives {
		before.add(l.put.ret, l.got.call)
	}
	last := before.greatestBefore()
	for _, l := range v.lives {
		if t := last(l.put.call); t > l.got.ret {
			i := slices.IndexFunc(v.lives, func(a *life) bool { return a.put.ret < l.put.call && a.got.call == t })
			return fmt.Errorf("out of order:\n%v\n%v\n%v\n%v", v.lives[i].put, l.put, l.got, v.lives[i].got)
		}
	}
	return nil
}

// programOrder is order where what one client did, one after the other, is known
// better than from the times.
func (v *trial) programOrder() error {
	byPut, byGet := map[int][]*life{}, map[int][]*life{}
	for _, l := range v.lives {
		byPut[l.put.client] = append(byPut[l.put.client], l)
		if l.got.call != never && l.got.outcome == ok {
			byGet[l.got.client] = append(byGet[l.got.client], l)
		}
	}
	for _, mine := range byPut {
		slices.SortFunc(mine, func(a, b *life) int { return cmp.Compare(a.put.turn, b.put.turn) })
		last := mine[0]
		for _, l := range mine {
			if last.got.call > l.got.ret {
				return fmt.Errorf("one client's items are out of order:\n%v\n%v\n%v\n%v", last.put, l.put, l.got, last.got)
			}
			if l.got.call > last.got.call {
				last = l
			}
		}
	}
	for _, mine := range byGet {
		slices.SortFunc(mine, func(a, b *life) int { return cmp.Compare(a.got.turn, b.got.turn) })
		last := mine[0]
		turns := map[int]*life{}
		for _, l := range mine {
			if l.put.ret < last.put.call {
				return fmt.Errorf("one client got items out of order:\n%v\n%v\n%v\n%v", last.got, l.got, l.put, last.put)
			}
			if l.put.call > last.put.call {
				last = l
			}
			if t := turns[l.put.client]; t != nil && t.put.turn > l.put.turn {
				return fmt.Errorf("one client's items are out of order at one other:\n%v\n%v\n%v\n%v", t.got, l.got, l.put, t.put)
			}
			turns[l.put.client] = l
		}
	}
	return nil
}

// witness looks for answers of emptiness in the middle of a stretch in which some
// item was there. Of an item that nobody got it is not known when a get that
// never returned may have taken it away; so it counts until the first one that
// can have done so began.
func (v *trial) witness() error {
	var there []stretch
	for _, l := range v.lives {
		end := l.got.call
		if l.got.outcome != ok {
			end = never
			for _, g := range v.gets {
				if g.ret >= l.put.call {
					end = min(end, g.call)
				}
			}
		}
		if l.put.ret < end {
			there = append(there, stretch{l.put.ret, end})
		}
	}
	held := counted(there, 1)
	for _, o := range v.empties {
		if s := around(held, o.call); o.ret < s.to {
			return fmt.Errorf("something was there from %d to %d: %v", s.from, s.to, o)
		}
	}
	return nil
}

// count looks whether more items were surely there than may be, and whether
// those who were refused can have found as many as that takes. Each get that
// never returned has perhaps taken one away.
func (v *trial) count() error {
	var surely []stretch
	for _, l := range v.lives {
		end := l.got.call
		if l.got.outcome != ok {
			end = never
		}
		if l.put.ret < end {
			surely = append(surely, stretch{l.put.ret, end})
		}
	}
	if over := counted(surely, v.capacity+1, v.gets...); len(over) > 0 {
		return fmt.Errorf("more than %d items at %d", v.capacity, over[0].from)
	}
	var maybe []stretch
	for _, l := range v.lives {
		maybe = append(maybe, stretch{l.put.call - 1, l.got.ret})
	}
	for _, o := range v.perhaps {
		maybe = append(maybe, stretch{o.call - 1, o.ret})
	}
	full := counted(maybe, v.full)
	for _, o := range v.ops {
		if o.kind != put || o.outcome != no || o.unsure() {
			continue
		}
		if s := around(full, o.ret); s.to < o.call {
			return fmt.Errorf("refused, but there were never %d items: %v", v.full, o)
		}
	}
	return nil
}

// end looks at answers that it is closed: whether it can have been, and whether
// anything happened after them.
func (v *trial) end() error {
	for _, o := range v.ops {
		if o.outcome == closed && (o.kind == put && o.ret < v.closedPut || o.kind == get && o.ret < v.closedGet) {
			return fmt.Errorf("nobody had closed it: %v", o)
		}
	}
	over, sealed := v.over(), v.sealed()
	for _, l := range v.lives {
		switch {
		case l.put.call > over:
			return fmt.Errorf("it was closed at %d: %v", over, l.put)
		case l.got.call > sealed:
			return fmt.Errorf("nothing was to come after %d: %v", sealed, l.put)
		}
	}
	return nil
}
