package archtest

// rules is the place of one package in the house.
type rules struct {
	// own lists the packages of ours that it may import, without the module path. A trailing "/..." allows a subtree.
	own []string
	// modules lists the modules of others that its code, without tests, may import.
	modules []string
	// noExample says why the package needs no Example. Empty: it needs one.
	noExample string
}

const (
	module   = "github.com/shieldmaidens/pleiades"
	grocksdb = "github.com/linxGnu/grocksdb"
	protobuf = "google.golang.org/protobuf"
	vtproto  = "github.com/planetscale/vtprotobuf"
	quicgo   = "github.com/quic-go/quic-go"
	xsys     = "golang.org/x/sys"
	xsync    = "golang.org/x/sync"
	cobra    = "github.com/spf13/cobra"
	pflag    = "github.com/spf13/pflag"
	gopretty = "github.com/jedib0t/go-pretty/v6"
	gofuse   = "github.com/hanwen/go-fuse/v2"
	prom     = "github.com/prometheus/client_golang"
	gotoml   = "github.com/pelletier/go-toml/v2"
)

// houseRules has one row a package, lowest first. A key that ends in "/..." stands for every package below it.
var houseRules = map[string]rules{
	"base":  {},
	"keys":  {own: []string{"base"}},
	"hlc":   {own: []string{"base"}},
	"kverr": {own: []string{"base", "keys"}},
	"api/...": {
		modules:   []string{protobuf, vtproto},
		noExample: "generated code",
	},
	"engine": {
		own:     []string{"base"},
		modules: []string{grocksdb, xsys},
	},
	"versioning": {
		own:     []string{"base", "keys", "hlc", "kverr", "engine", "api/...", "internal/storemodel"},
		modules: []string{protobuf, xsync},
	},
	"vacuum": {
		own: []string{"base", "keys", "hlc", "engine", "versioning", "internal/storemodel"},
	},
	"net/certs":    {own: []string{"base"}},
	"net/pwp/wire": {own: []string{"base"}},
	"net/pwp/pair": {own: []string{"base", "net/pwp/wire"}},
	"net/pwp":      {own: []string{"base", "net/pwp/wire", "net/pwp/pair", "net/pwp/pwptest"}},
	"net/pwp/pwptest": {
		own:       []string{"base", "net/pwp", "net/pwp/wire"},
		noExample: "that of net/pwp shows it",
	},
	"kvstore": {
		own:     []string{"base", "keys", "hlc", "kverr", "engine", "versioning", "vacuum", "api/..."},
		modules: []string{protobuf},
	},
	"kvstore/kvwire": {own: []string{"base", "keys", "hlc", "kverr", "api/...", "net/pwp/wire"}, modules: []string{protobuf}},
	"node": {
		own: []string{
			"base", "keys", "hlc", "kverr", "engine", "versioning", "api/...", "kvstore/...", "system", "net/...", "client", "client/contexts",
		},
		modules: []string{xsys, prom},
	},
	"kvstore/kvservice": {
		own: []string{
			"base", "keys", "hlc", "kverr", "api/...", "kvstore", "kvstore/kvwire", "net/certs", "net/pwp", "net/pwp/wire",
			"net/pwp/pwptest", "engine", "versioning", "internal/nodetest",
		},
		modules: []string{protobuf, xsync},
	},
	"client": {
		own: []string{
			"base", "keys", "hlc", "kverr", "api/...", "kvstore/kvwire", "system", "net/certs", "net/endpoint", "net/pwp", "net/pwp/wire",
			"kvstore", "internal/nodetest", // in tests: see TestClientsDoNotLinkTheStore
		},
		modules: []string{xsync},
	},
	"internal/nodetest": {
		own: []string{
			"api/...", "engine", "hlc", "versioning", "kvstore", "kvstore/kvservice", "net/certs", "net/endpoint", "net/pwp", "net/pwp/wire", "system",
		},
		noExample: "those of package client show it",
	},
	"client/contexts": {own: []string{"base"}, modules: []string{gotoml}},
	"system": {
		own: []string{"base", "api/...", "net/pwp", "net/pwp/wire", "net/pwp/pair", "net/pwp/pwptest"},
	},
	"net/endpoint": {
		own:     []string{"base", "net/certs", "net/pwp", "net/pwp/wire"},
		modules: []string{quicgo},
	},
	"node/doctor": {
		own:     []string{"base", "net/certs"},
		modules: []string{xsys},
	},
	"bench": {
		own:     []string{"base", "keys", "hlc", "engine", "versioning"},
		modules: []string{xsys},
	},
	"cmd/pleiades/...": {
		own:       []string{"base", "keys", "hlc", "engine", "versioning", "vacuum", "bench", "api/...", "client", "client/contexts", "kvstore/kvwire", "net/pwp/wire", "internal/nodetest", "internal/dump", "net/certs", "net/endpoint", "node", "node/doctor", "cmd/pleiades/..."},
		modules:   []string{cobra, pflag, gopretty, protobuf, xsys},
		noExample: "a command and its parts; its help shows examples",
	},
	"examples/rawclient": {
		own:       []string{"api/...", "node"}, // node in its test
		modules:   []string{quicgo, protobuf},
		noExample: "it is one",
	},
	"fuzz": {
		own:       []string{"base", "keys", "hlc", "engine", "versioning", "vacuum", "api/...", "internal/dump", "internal/storemodel"},
		noExample: "its targets are the examples",
	},
	"internal/dump":       {own: []string{"base", "keys", "hlc", "engine", "versioning"}},
	"internal/storemodel": {own: []string{"keys", "hlc", "engine", "versioning", "vacuum"}},
	"internal/archtest":   {noExample: "it has no code"},
	"internal/faultfs":    {modules: []string{gofuse, xsys}},
	"internal/crashtest": {
		own:       []string{"base", "keys", "hlc", "engine", "versioning", "vacuum", "internal/faultfs"},
		noExample: "its tests are the example",
	},
}

// embedded are the packages that somebody embeds in a program of theirs.
var embedded = []string{"base", "keys", "hlc", "kverr", "engine", "versioning", "vacuum"}

// unreachable names what the embedded packages must not pull in, directly or through others: a path equal to one of
// these, or below it.
var unreachable = []string{
	"net", "crypto/tls",
	"github.com/hashicorp", "go.etcd.io", "github.com/quic-go", "google.golang.org/grpc",
	cobra, pflag, gopretty,
	module + "/net", module + "/gossip", module + "/replication", module + "/node", module + "/client", module + "/cmd",
}

// remote are the packages that talk to a store somewhere else, and unlinked what they must not pull in.
var (
	remote   = []string{"client"}
	unlinked = []string{grocksdb, module + "/engine", module + "/versioning", module + "/kvstore/kvservice", module + "/node", module + "/cmd"}
)

// reachable are exceptions from unreachable: they lie below a name listed there and open no connection.
var reachable = []string{"net/netip", "net/url"}

// testModules are allowed in the tests of every package, beside what its row allows.
var testModules = []string{
	"pgregory.net/rapid", "github.com/cockroachdb/datadriven", "go.uber.org/goleak", xsync, xsys, protobuf,
}

// longFiles are the files that may be longer than the limit, each with its own limit and the reason. An entry whose
// file is gone or has become short again fails, so that the list cannot rot.
var longFiles = map[string]struct {
	limit  int
	reason string
}{}
