package roster

// Fences is for who has others to look after while dead processes stop, and so
// must not wait in [Fence]: it asks time and again, every few milliseconds. The
// zero value is ready to use, by one goroutine.
type Fences struct {
	vigils map[ID]*vigil
}

// Passed is Fence without waiting: it reports whether no thread of the dead process
// id runs any more, or sits in a system call that writes into shared memory.
//
// A process that has replaced its program passes when it was asked for over a
// second.
func (f *Fences) Passed(id ID) bool {
	v := f.vigils[id]
	if v == nil {
		v = new(vigil)
		if f.vigils == nil {
			f.vigils = make(map[ID]*vigil)
		}
		f.vigils[id] = v
	}
	return v.over(former(id))
}
