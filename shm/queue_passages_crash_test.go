//go:build crash

package shm

import (
	"slices"
	"strings"

	"github.com/go-multiproc/multiproc/internal/probe"
)

// A queuePassage brings the victim to one step. The queue has room for two. The
// victim puts 10 and 11, a waiter 20, who died before 15, and we 8 and 9.
type queuePassage struct {
	point  probe.Point
	only   string      // one kind of items: records are put one by one
	before []int       // what is in the queue
	setup  string      // closed, orphaned, registered (by the victim), got (by the victim), counted
	dead   probe.Point // where somebody else has died before
	waiter string      // what a survivor waits with
	order  string      // in which the victim passes the step
	then   string      // what is done when both sleep, the victim before the waiter: wakes the victim

	resolved string // what the waiter says because of the death alone
	left     []int  // what is in the queue then; what the waiter has put and got is included
}

func (p queuePassage) String() string {
	name := p.point.String() + " " + p.order
	if p.dead != 0 {
		name += " after " + p.dead.String()
	}
	if p.setup != "" {
		name += " " + p.setup
	}
	return strings.ReplaceAll(name, " ", "-")
}

var queuePassages = slices.Concat(puttingPassages, gettingPassages, sleepingPassages, endingPassages)

var puttingPassages = []queuePassage{
	{point: probe.Put30, order: "put 10", waiter: "get"},
	{point: probe.Put31, order: "put 10", waiter: "get", dead: probe.Put33},
	{point: probe.Put32, order: "put 10", waiter: "get"},
	{point: probe.Put33, order: "put 10", waiter: "get"},
	{point: probe.Put34, order: "put 10", waiter: "get"},
	{point: probe.Put35, order: "put 10", waiter: "get", resolved: "got 10"},
	{point: probe.Put36, order: "put 10", waiter: "get", resolved: "got 10"},
	{point: probe.Put33, only: "slots", order: "put 10 11", waiter: "get"},
	{point: probe.Put34, only: "slots", order: "put 10 11", waiter: "get"},
	{point: probe.Put35, only: "slots", order: "put 10 11", waiter: "get 2", resolved: "got 10 11"},
	{point: probe.Put36, only: "slots", order: "put 10 11", waiter: "get", resolved: "got 10", left: []int{11}},
	{point: probe.Put34, order: "tryput 10"},
	{point: probe.Put35, order: "tryput 10", left: []int{10}},
}

var gettingPassages = []queuePassage{
	{point: probe.Get40, order: "get", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Get41, order: "get", before: []int{1, 2}, waiter: "put 20", dead: probe.Get43, left: []int{1, 2}},
	{point: probe.Get42, order: "get", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Get43, order: "get", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Get44, order: "get", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Get45, order: "get", before: []int{1, 2}, waiter: "put 20", resolved: "ok", left: []int{2, 20}},
	{point: probe.Get46, order: "get", before: []int{1, 2}, waiter: "put 20", resolved: "ok", left: []int{2, 20}},
	{point: probe.Get43, order: "tryget", before: []int{1}, left: []int{1}},
	{point: probe.Get45, order: "tryget", before: []int{1, 2}, left: []int{2}},
}

var sleepingPassages = []queuePassage{
	{point: probe.Wait51, order: "get", waiter: "get"},
	{point: probe.Wait52, order: "get", waiter: "get"},
	{point: probe.Wait53, order: "get", waiter: "get"},
	{point: probe.Wait54, order: "get", waiter: "get"},
	{point: probe.Wait55, order: "get", waiter: "get", then: "put 9", resolved: "got 9"},
	{point: probe.Wait55, order: "get", waiter: "get", then: "put 8 9", resolved: "got 8", left: []int{9}},
	{point: probe.Wait61, order: "cancel get", waiter: "get"},
	{point: probe.Wait51, order: "put 10", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Wait52, order: "put 10", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Wait53, order: "put 10", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Wait54, order: "put 10", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
	{point: probe.Wait55, order: "put 10", before: []int{1, 2}, waiter: "put 20", then: "get", resolved: "ok", left: []int{2, 20}},
	{point: probe.Wait61, order: "cancel put 10", before: []int{1, 2}, waiter: "put 20", left: []int{1, 2}},
}

var endingPassages = []queuePassage{
	{point: probe.Close56, order: "close", waiter: "get"},
	{point: probe.Close56, order: "get", setup: "orphaned"},
	{point: probe.Seal57, order: "get", setup: "closed"},
	{point: probe.Seal57, order: "get", setup: "orphaned"},
	{point: probe.Last59, order: "get", setup: "closed"},
	{point: probe.Last59, order: "get", setup: "orphaned"},
	{point: probe.Put31, order: "get", setup: "closed", dead: probe.Last59},
	{point: probe.Last59, order: "get", setup: "closed", dead: probe.Last59},
	{point: probe.Last59, order: "get", setup: "orphaned", dead: probe.Close56},
	{point: probe.Register58, order: "register", waiter: "get"},
	{point: probe.Put31, order: "register", dead: probe.Put33, waiter: "get"},
	{point: probe.Register58, order: "deregister", setup: "registered", waiter: "get", resolved: "closed"},
	{point: probe.Member62, order: "detach", setup: "registered", waiter: "get", resolved: "closed"},
	{point: probe.Member62, order: "detach", waiter: "get"},
	{point: probe.Put33, order: "put 10", setup: "registered", waiter: "get", resolved: "closed"},
	{point: probe.Put35, order: "put 10", setup: "registered", waiter: "get", resolved: "got 10"},
	{point: probe.Done60, order: "done 1", setup: "got", before: []int{1}, waiter: "join", resolved: "ok"},
	{point: probe.Get44, order: "get", setup: "counted", before: []int{1}, waiter: "join", left: []int{1}},
	{point: probe.Get45, order: "get", setup: "counted", before: []int{1}, waiter: "join", resolved: "ok"},
	{point: probe.Get41, order: "join", setup: "counted", dead: probe.Get43, before: []int{1}, left: []int{1}},
	{point: probe.Wait53, order: "join", setup: "counted", before: []int{1}, waiter: "join", left: []int{1}},
	{point: probe.Wait54, order: "join", setup: "counted", before: []int{1}, waiter: "join", left: []int{1}},
}

// recoveringPassages are those of who takes a lock whose holder has died: it is
// killed at each of its steps as well.
func recoveringPassages() (all []queuePassage) {
	for _, dead := range probe.Points(probe.Put32, probe.Put36) {
		for _, point := range probe.Points(probe.Put31, probe.Put36) {
			p := queuePassage{point: point, dead: dead, order: "put 10"}
			if dead >= probe.Put35 {
				p.left = append(p.left, 15)
			} else {
				p.waiter = "get"
			}
			if point >= probe.Put35 && p.waiter != "" {
				p.resolved = "got 10"
			} else if point >= probe.Put35 {
				p.left = append(p.left, 10)
			}
			all = append(all, p)
		}
	}
	for _, dead := range probe.Points(probe.Get42, probe.Get46) {
		for _, point := range probe.Points(probe.Get41, probe.Get46) {
			p := queuePassage{point: point, dead: dead, order: "get", before: []int{1, 2}, left: []int{1, 2}}
			if dead >= probe.Get45 {
				p.left = p.left[1:]
			} else {
				p.waiter = "put 20"
			}
			if point >= probe.Get45 {
				p.left = p.left[1:]
			}
			if point >= probe.Get45 && p.waiter != "" {
				p.resolved = "ok"
				p.left = append(slices.Clone(p.left), 20)
			}
			all = append(all, p)
		}
	}
	return all
}
