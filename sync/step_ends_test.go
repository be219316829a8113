//go:build stress && amd64

package sync_test

import (
	"fmt"
	"math/rand/v2"
)

// An end is where a round kills: so many instructions after the first arrival
// at one, or after the begin.
type end struct {
	from   uintptr
	number int
}

func (e end) String() string {
	if e.from != 0 {
		return fmt.Sprintf("%d instructions after %s", e.number, where(e.from))
	}
	return fmt.Sprintf("instruction %d", e.number)
}

// begin returns how many instructions at the begin of the path are left out: what
// comes before the context ends is that of another situation.
func (st *stepping) begin() int {
	if st.cancel == "" {
		return 0
	}
	return st.turned
}

// choose returns the ends of all rounds.
func (st *stepping) choose() (all []end) {
	const more = 2 // behind the last, and asleep
	length, begin := len(st.path), st.begin()
	if length <= 2*st.ends {
		for n := begin; n < length+more; n++ {
			all = append(all, end{number: n})
		}
		return all
	}
	for n := begin; n < st.ends; n++ {
		all = append(all, end{number: n})
	}
	first := map[uintptr]bool{}
	var landmark int // the last instruction of ours before the end part that is reached for the first time
	for n, pc := range st.path {
		if !first[pc] && ours(pc) != "" && n >= st.ends {
			if n <= length-st.ends {
				landmark = n
			}
			if n >= begin {
				all = append(all, end{from: pc})
			}
		}
		first[pc] = true
	}
	for n := range length - landmark + more {
		if landmark+n >= length-st.ends {
			all = append(all, end{from: st.path[landmark], number: n})
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range st.sample {
		all = append(all, end{number: st.ends + random.IntN(length-2*st.ends)})
	}
	return all
}
