// Package device reads what tells one device from another: a handful of
// components, such as the machine id and the addresses of network cards, so that
// the change of one does not make another device of it.
//
//	f, err := device.Read()
//	digests := f.Digests("editor")
//
// A container has no identity of its own: its machine id is often part of the
// image, its network address is derived from its private IP, its host name
// changes with each start. So in a container nothing is guessed: Read returns
// ErrContainer unless the environment variable MINTREU_DEVICE_ID names an id
// that the operator made unique. Clones of one virtual machine share what was
// copied; only the server can notice that.
//
// The values themselves never leave the device. Digests are keyed with the
// product, so two products cannot compare them; but a value with few
// possibilities, such as a network address, can be guessed from its digest.
package device

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/mintreu/mintreu/sdk/doc"
)

// Components of a fingerprint.
const (
	Machine = "machine" // /etc/machine-id
	Board   = "board"   // the mainboard's UUID or serial, if readable
	Disk    = "disk"    // serial or WWN of the first disk, if readable
	Network = "network" // hardware addresses of the network cards
	Host    = "host"    // host name
)

// EnvID is the environment variable that overrides everything else.
const EnvID = "MINTREU_DEVICE_ID"

// Why there is no fingerprint.
var (
	ErrContainer = errors.New("a container has no identity of its own: set " + EnvID + " or give the SDK an id of your own")
	ErrNothing   = errors.New("nothing tells this device from another: set " + EnvID + " or give the SDK an id of your own")
)

// Fingerprint is a set of components and their values.
type Fingerprint map[string]string

// Named returns the fingerprint of a device whose id is known, such as the name
// of a worker in a cluster. The id stands for every component, so it satisfies
// any policy, however many components that wants to agree.
func Named(id string) Fingerprint {
	return Fingerprint{Machine: id, Board: id, Disk: id, Network: id, Host: id}
}

// Digests returns the digest of each component for a product, the form in
// which fingerprints are sent and stored in leases.
func (f Fingerprint) Digests(product string) map[string]string {
	d := make(map[string]string, len(f))
	for component, value := range f {
		d[component] = doc.DeviceDigest(product, component, value)
	}
	return d
}

// Changed returns the components, sorted, in which two sets of digests differ;
// a component that only one of them has counts.
func Changed(a, b map[string]string) []string {
	var names []string
	for c, v := range a {
		if b[c] != v {
			names = append(names, c)
		}
	}
	for c := range b {
		if _, ok := a[c]; !ok {
			names = append(names, c)
		}
	}
	slices.Sort(names)
	return names
}

// Source is where the components are read from. The zero Source is the running
// system.
type Source struct {
	Root       fs.FS // the file system's root; nil means the real one
	Interfaces func() ([]net.Interface, error)
	Hostname   func() (string, error)
	Getenv     func(string) string
}

// Read reads the fingerprint of this device.
func Read() (Fingerprint, error) { return Source{}.Read() }

// Read reads the fingerprint of the device behind s.
func (s Source) Read() (Fingerprint, error) {
	s = s.complete()
	if id := strings.TrimSpace(s.Getenv(EnvID)); id != "" {
		return Named(id), nil
	}
	if s.container() {
		return nil, ErrContainer
	}
	f := make(Fingerprint)
	f.put(Machine, s.first("etc/machine-id", "var/lib/dbus/machine-id"))
	f.put(Board, s.first("sys/class/dmi/id/product_uuid", "sys/class/dmi/id/board_serial", "proc/device-tree/serial-number"))
	f.put(Disk, s.disk())
	f.put(Network, s.network())
	if len(f) == 0 {
		// A host name alone is no identity: "localhost" is everywhere.
		return nil, ErrNothing
	}
	if name, err := s.Hostname(); err == nil {
		f.put(Host, name)
	}
	return f, nil
}

func (s Source) complete() Source {
	if s.Root == nil {
		s.Root = os.DirFS("/")
	}
	if s.Interfaces == nil {
		s.Interfaces = net.Interfaces
	}
	if s.Hostname == nil {
		s.Hostname = os.Hostname
	}
	if s.Getenv == nil {
		s.Getenv = os.Getenv
	}
	return s
}

// put adds a value unless it is one that many devices share.
func (f Fingerprint) put(component, value string) {
	value = strings.ToLower(strings.TrimSpace(strings.Trim(value, "\x00")))
	switch value {
	case "", "localhost", "none", "unknown", "default string", "to be filled by o.e.m.", "not specified",
		"system serial number", "uninitialized", "0123456789":
		return
	}
	if plain := strings.NewReplacer("-", "", ":", "", ".", "").Replace(value); strings.Trim(plain, "0") == "" ||
		strings.Trim(plain, "f") == "" || plain == "03000200040005000006000700080009" {
		return
	}
	f[component] = value
}

// first returns the content of the first of the files that can be read and has
// any.
func (s Source) first(names ...string) string {
	for _, name := range names {
		if b, err := fs.ReadFile(s.Root, name); err == nil && strings.TrimSpace(string(b)) != "" {
			return string(b)
		}
	}
	return ""
}

// disk returns the identity of the first fixed disk by name.
func (s Source) disk() string {
	entries, err := fs.ReadDir(s.Root, "sys/block")
	if err != nil {
		return ""
	}
	for _, e := range entries {
		name := e.Name()
		if strings.HasPrefix(name, "loop") || strings.HasPrefix(name, "ram") || strings.HasPrefix(name, "dm-") ||
			strings.TrimSpace(s.first("sys/block/"+name+"/removable")) == "1" {
			continue
		}
		if id := s.first("sys/block/"+name+"/wwid", "sys/block/"+name+"/device/wwid", "sys/block/"+name+"/device/serial",
			"sys/block/"+name+"/serial"); id != "" {
			return id
		}
	}
	return ""
}

// network returns the hardware addresses that a manufacturer gave, sorted.
// Addresses made up by software, such as those of containers, bridges and
// tunnels, have the bit of local administration set and do not count.
func (s Source) network() string {
	list, err := s.Interfaces()
	if err != nil {
		return ""
	}
	var addrs []string
	for _, i := range list {
		if a := i.HardwareAddr; len(a) == 6 && a[0]&3 == 0 && strings.Trim(a.String(), "0:") != "" {
			addrs = append(addrs, a.String())
		}
	}
	slices.Sort(addrs)
	return strings.Join(slices.Compact(addrs), ",")
}

// container reports whether this process runs in a container.
func (s Source) container() bool {
	if runtime.GOOS != "linux" {
		return false
	}
	for _, name := range []string{".dockerenv", "run/.containerenv", "run/systemd/container"} {
		if _, err := fs.Stat(s.Root, name); err == nil {
			return true
		}
	}
	if s.Getenv("KUBERNETES_SERVICE_HOST") != "" || s.Getenv("container") != "" {
		return true
	}
	groups := s.first("proc/1/cgroup")
	mounts := s.first("proc/self/mountinfo")
	for _, mark := range []string{"docker", "kubepods", "containerd", "libpod", "lxc", "garden"} {
		if strings.Contains(groups, "/"+mark) {
			return true
		}
	}
	root, _, _ := strings.Cut(mounts, "\n")
	return strings.Contains(root, " / / ") && strings.Contains(root, "overlay overlay") && strings.Contains(root, "/containers/")
}
