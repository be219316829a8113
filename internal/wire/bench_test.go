package wire

import (
	"reflect"
	"testing"
)

func BenchmarkEncodeDecode(b *testing.B) {
	type small struct {
		ID  int64
		Lo  int32
		Hi  int32
		On  bool
		Pos [3]float64
	}
	type person struct {
		Name   string
		Age    int
		Emails []string
		Score  map[string]float64
	}
	for _, bb := range []struct {
		name  string
		value any
	}{
		{"plain", small{ID: 1, Hi: 10, On: true}},
		{"string", "a short string"},
		{"slice=1Mi", make([]int64, 1<<20)},
		{"cbor", person{"Ada", 36, []string{"ada@example.org", "al@example.org"}, map[string]float64{"x": 1.5}}},
		{"recursive", tree{Name: "a", Kids: []tree{{Name: "b"}, {Name: "c"}}}},
		{"traveller", &box{file: memfd(b, "bench")}},
	} {
		b.Run(bb.name, func(b *testing.B) {
			v := reflect.ValueOf(bb.value)
			to := reflect.New(v.Type()).Elem()
			b.ReportAllocs()
			for b.Loop() {
				m, err := Encode(v)
				if err != nil {
					b.Fatal(err)
				}
				if err := Decode(m, to); err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(m.Data)))
				m.Close()
			}
		})
	}
}

func BenchmarkFrame(b *testing.B) {
	x, y := pair(b)
	m := &Message{Data: make([]byte, 100)}
	b.ReportAllocs()
	for b.Loop() {
		if err := Send(x, 1, m); err != nil {
			b.Fatal(err)
		}
		if _, _, err := Recv(y); err != nil {
			b.Fatal(err)
		}
	}
}
