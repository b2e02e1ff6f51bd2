package fuzz_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "github.com/shieldmaidens/pleiades/api/gossip/v1"
	_ "github.com/shieldmaidens/pleiades/api/kvstore/v1"
	_ "github.com/shieldmaidens/pleiades/api/messaging/v1"
	_ "github.com/shieldmaidens/pleiades/api/raft/v1"
	_ "github.com/shieldmaidens/pleiades/api/storage/v1"
	_ "github.com/shieldmaidens/pleiades/api/system/v1"
)

// message is what vtprotobuf generates beside protobuf's own code.
type message interface {
	proto.Message
	UnmarshalVT([]byte) error
	UnmarshalVTUnsafe([]byte) error
	MarshalVT() ([]byte, error)
	SizeVT() int
}

// messageTypes returns every message of ours, by name.
func messageTypes(tb testing.TB) []protoreflect.MessageType {
	tb.Helper()
	var all []protoreflect.MessageType
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		if strings.HasPrefix(string(mt.Descriptor().FullName()), "pleiades.") && !mt.Descriptor().IsMapEntry() {
			all = append(all, mt)
		}
		return true
	})
	slices.SortFunc(all, func(a, b protoreflect.MessageType) int {
		return strings.Compare(string(a.Descriptor().FullName()), string(b.Descriptor().FullName()))
	})
	if len(all) < 100 {
		tb.Fatalf("only %d messages are registered", len(all))
	}
	return all
}

func newMessage(tb testing.TB, mt protoreflect.MessageType) message {
	tb.Helper()
	m, ok := mt.New().Interface().(message)
	if !ok {
		tb.Fatalf("%s has no code of vtprotobuf", mt.Descriptor().FullName())
	}
	return m
}

// filled returns a message with something in every field, messages inside of it up to a depth.
func filled(mt protoreflect.MessageType, depth int) proto.Message {
	m := mt.New()
	fields := mt.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		switch {
		case f.IsMap():
			m.Mutable(f).Map().Set(protoreflect.ValueOfString("label").MapKey(), protoreflect.ValueOfString("value"))
		case f.Message() != nil && depth == 0:
		case f.IsList() && f.Message() != nil:
			list := m.Mutable(f).List()
			element := list.NewElement()
			proto.Merge(element.Message().Interface(), filled(element.Message().Type(), depth-1))
			list.Append(element)
		case f.Message() != nil:
			proto.Merge(m.Mutable(f).Message().Interface(), filled(m.Mutable(f).Message().Type(), depth-1))
		case f.IsList():
			m.Mutable(f).List().Append(scalar(f))
		default:
			m.Set(f, scalar(f))
		}
	}
	return m.Interface()
}

func scalar(f protoreflect.FieldDescriptor) protoreflect.Value {
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte("Maia\x00\xff"))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString("Taygete")
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(3.87)
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(1)
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(300)
	case protoreflect.Sfixed64Kind, protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(-1)
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(-1)
	default:
		return protoreflect.ValueOfUint64(1 << 40)
	}
}

// FuzzMessages decodes arbitrary bytes as each message of the wire and the disk. What the generated code and protobuf's own
// both take is the same message to them. They differ in what they refuse: a known field of a wrong kind is an error to the
// generated code and an unknown field to protobuf; text that is not UTF-8 is an error to protobuf alone.
func FuzzMessages(f *testing.F) {
	types := messageTypes(f)
	for i, mt := range types {
		seed, err := proto.MarshalOptions{Deterministic: true}.Marshal(filled(mt, 2))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), seed)
		f.Add(uint8(i), seed[:len(seed)/2])
	}
	f.Fuzz(func(t *testing.T, which uint8, data []byte) {
		mt := types[int(which)%len(types)]
		name := mt.Descriptor().FullName()
		input := bytes.Clone(data)

		fast, aliasing, standard := newMessage(t, mt), newMessage(t, mt), newMessage(t, mt)
		fastErr := fast.UnmarshalVT(data)
		aliasingErr := aliasing.UnmarshalVTUnsafe(data)
		if (fastErr == nil) != (aliasingErr == nil) {
			t.Fatalf("%s: UnmarshalVT says %v, UnmarshalVTUnsafe %v", name, fastErr, aliasingErr)
		}
		standardErr := proto.Unmarshal(data, standard)
		if fastErr != nil {
			return
		}
		encoded, err := fast.MarshalVT()
		if err != nil {
			t.Fatalf("%s: what was decoded cannot be encoded: %v", name, err)
		}
		if fast.SizeVT() != len(encoded) {
			t.Fatalf("%s: SizeVT says %d, %d bytes were encoded", name, fast.SizeVT(), len(encoded))
		}
		again := newMessage(t, mt)
		if err := again.UnmarshalVT(encoded); err != nil {
			t.Fatalf("%s: its own encoding is refused: %v", name, err)
		}
		if standardErr == nil {
			dropUnknown(standard.ProtoReflect())
			for _, other := range []proto.Message{fast, aliasing, again} {
				dropUnknown(other.ProtoReflect())
				if !proto.Equal(standard, other) && !hasNaN(standard) {
					t.Fatalf("%s: % x is\n%v to protobuf and\n%v to the generated code", name, data, standard, other)
				}
			}
		}
		if !bytes.Equal(input, data) {
			t.Fatalf("%s: decoding changed its input", name)
		}
	})
}

// dropUnknown removes what this program does not know, at any depth: the same field can be spelled in several ways.
func dropUnknown(m protoreflect.Message) {
	m.SetUnknown(nil)
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap() || f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				dropUnknown(v.List().Get(i).Message())
			}
		default:
			dropUnknown(v.Message())
		}
		return true
	})
}

// hasNaN reports whether a number in m is none, at any depth: such messages do not equal themselves.
func hasNaN(m proto.Message) bool { return !proto.Equal(m, proto.Clone(m)) }
