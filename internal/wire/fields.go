package wire

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// travels reports whether a field of a struct that passed Check is sent.
func travels(f reflect.StructField) bool {
	return f.Name != "_" && f.Tag.Get("cbor") != "-"
}

// A tag is what cbor reads from the tag of a field. As cbor does, it takes the
// json tag of a field that has no cbor tag.
type tag struct {
	name    string
	options []string
	json    bool
}

func tagOf(f reflect.StructField) tag {
	text, json := f.Tag.Get("cbor"), false
	if text == "" {
		text, json = f.Tag.Get("json"), true
	}
	parts := strings.Split(text, ",")
	return tag{name: parts[0], options: parts[1:], json: json && text != ""}
}

func (t tag) has(option string) bool { return slices.Contains(t.options, option) }

// skipped reports whether the tag as a whole is "-". A tag "-," names a field.
func (t tag) skipped() bool { return t.name == "-" && len(t.options) == 0 }

// checkStruct refuses a struct of which cbor would lose a field.
func (c *checker) checkStruct(t reflect.Type, path string) error {
	return c.checkFields(t, path, make(map[string]string))
}

// checkFields looks at the fields of t, and at those of embedded structs, which
// cbor treats as if they were fields of t. The paths of the fields so far are in
// names, by the name that is sent: of two fields with one name cbor drops one
// or both.
func (c *checker) checkFields(t reflect.Type, path string, names map[string]string) error {
	for f := range t.Fields() {
		if !travels(f) {
			continue
		}
		path := path + "." + f.Name
		tag := tagOf(f)
		embedded := f.Anonymous && elem(f.Type).Kind() == reflect.Struct && tag.name == ""
		if why := unfit(f.Type); why != "" {
			return refuse(path, f.Type, why)
		}
		switch {
		case !f.IsExported() && (!embedded || f.Type.Kind() == reflect.Pointer):
			return fmt.Errorf(`%s is unexported: it would be lost; export it, tag it cbor:"-", or give %s MarshalBinary and UnmarshalBinary`, path, t)
		case tag.json && tag.skipped():
			return fmt.Errorf(`%s is tagged json:"-": it would be lost; add a cbor tag, "-" if that is meant`, path)
		case embedded && f.Type.Kind() == reflect.Pointer:
			return refuse(path, f.Type, "an embedded pointer may come back as nil; give the field a name")
		case embedded:
			if err := checkPromotion(f.Type, path); err != nil {
				return err
			}
			if err := c.checkFields(f.Type, path, names); err != nil {
				return err
			}
			continue
		}
		if err := checkOmission(f.Type, path, tag); err != nil {
			return err
		}
		name := tag.name
		if name == "" {
			name = f.Name
		}
		key := "name " + name
		if tag.has("keyasint") {
			n, err := strconv.Atoi(name)
			if err != nil {
				return fmt.Errorf("%s is tagged keyasint, but %q is no integer", path, name)
			}
			key = "number " + strconv.Itoa(n)
		}
		if other, ok := names[key]; ok {
			return fmt.Errorf("%s and %s have the same %s: one or both would be lost; give one a cbor tag", other, path, key)
		}
		names[key] = path
		if err := c.check(f.Type, path); err != nil {
			return err
		}
	}
	return nil
}

// checkOmission refuses options that leave out more than the zero value, which
// is what a field comes back as that was left out.
func checkOmission(t reflect.Type, path string, tag tag) error {
	if tag.has("omitempty") && (t.Kind() == reflect.Slice || t.Kind() == reflect.Map) {
		return fmt.Errorf("%s is tagged omitempty: an empty %s would come back as nil; use omitzero", path, t.Kind())
	}
	if tag.has("omitzero") && t != timeType && (t.Implements(zeroerType) || reflect.PointerTo(t).Implements(zeroerType)) {
		return fmt.Errorf("%s is tagged omitzero: what its IsZero method calls zero would be lost; leave the option out", path)
	}
	return nil
}

// elem returns what a pointer type points to, and any other type itself.
func elem(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
