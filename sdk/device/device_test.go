package device_test

import (
	"errors"
	"net"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/mintreu/mintreu/sdk/device"
)

func file(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }

func addr(t *testing.T, list ...string) func() ([]net.Interface, error) {
	t.Helper()
	var out []net.Interface
	for _, s := range list {
		a, err := net.ParseMAC(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, net.Interface{HardwareAddr: a})
	}
	return func() ([]net.Interface, error) { return append(out, net.Interface{Name: "lo"}), nil }
}

// laptop is a plain machine.
func laptop(t *testing.T) (fstest.MapFS, device.Source) {
	root := fstest.MapFS{
		"etc/machine-id":                file("4c4c4544-0042\n"),
		"sys/class/dmi/id/product_uuid": file("4C4C4544-0042-3510-8052-B4C04F4A4E32\n"),
		"sys/block/loop0/wwid":          file("loop"),
		"sys/block/nvme0n1/wwid":        file("eui.0025385b21404d3a\n"),
		"sys/block/sdb/removable":       file("1\n"),
		"proc/1/cgroup":                 file("0::/init.scope\n"),
		"proc/self/mountinfo":           file("22 1 259:2 / / rw,relatime - ext4 /dev/nvme0n1p2 rw\n"),
	}
	return root, device.Source{Root: root, Interfaces: addr(t, "b4:c0:4f:4a:4e:32", "02:42:ac:11:00:02"),
		Hostname: func() (string, error) { return "Ada", nil }, Getenv: func(string) string { return "" }}
}

// A plain machine has a component of every kind; made-up network addresses and
// pluggable disks do not count, nor does the order of the cards.
func TestRead_Components(t *testing.T) {
	t.Parallel()
	root, s := laptop(t)
	f, err := s.Read()
	want := device.Fingerprint{"machine": "4c4c4544-0042", "board": "4c4c4544-0042-3510-8052-b4c04f4a4e32", "disk": "eui.0025385b21404d3a",
		"network": "b4:c0:4f:4a:4e:32", "host": "ada"}
	if err != nil || len(device.Changed(f, want)) != 0 {
		t.Fatal(f, err)
	}
	s.Interfaces = addr(t, "00:00:00:00:00:00", "02:42:ac:11:00:09", "b4:c0:4f:4a:4e:32", "b4:c0:4f:4a:4e:32")
	if again, _ := s.Read(); len(device.Changed(f, again)) != 0 {
		t.Fatal(again)
	}
	delete(root, "sys/block/nvme0n1/wwid")
	again, _ := s.Read()
	if c := device.Changed(f.Digests("editor"), again.Digests("editor")); !slices.Equal(c, []string{"disk"}) {
		t.Fatal(c)
	}
	if c := device.Changed(f.Digests("editor"), f.Digests("player")); len(c) != 5 {
		t.Fatal("digests of two products can be compared", c)
	}
}

// Values that makers forgot to fill in are shared by many machines and do not
// count; a machine with nothing else has no fingerprint.
func TestRead_PlaceholdersDoNotCount(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "To be filled by O.E.M.",
		"Default string", "03000200-0400-0500-0006-000700080009", "uninitialized", " \n", "None"} {
		_, s := laptop(t)
		s.Root = fstest.MapFS{"etc/machine-id": file(v), "sys/class/dmi/id/product_uuid": file(v)}
		s.Interfaces = addr(t, "02:42:ac:11:00:02")
		if f, err := s.Read(); !errors.Is(err, device.ErrNothing) {
			t.Errorf("%q: %v %v", v, f, err)
		}
	}
}

// In a container nothing is guessed, however it shows that it is one.
func TestRead_ContainerNeverGuesses(t *testing.T) {
	t.Parallel()
	for name, mark := range map[string]func(fstest.MapFS, *device.Source){
		"docker":     func(r fstest.MapFS, _ *device.Source) { r[".dockerenv"] = file("") },
		"podman":     func(r fstest.MapFS, _ *device.Source) { r["run/.containerenv"] = file("") },
		"nspawn":     func(r fstest.MapFS, _ *device.Source) { r["run/systemd/container"] = file("systemd-nspawn") },
		"kubernetes": func(r fstest.MapFS, _ *device.Source) { r["proc/1/cgroup"] = file("0::/kubepods/pod1/abc\n") },
		"old docker": func(r fstest.MapFS, _ *device.Source) { r["proc/1/cgroup"] = file("12:cpu:/docker/abc\n") },
		"lxc": func(_ fstest.MapFS, s *device.Source) {
			s.Getenv = func(k string) string { return map[string]string{"container": "lxc"}[k] }
		},
		"pod": func(_ fstest.MapFS, s *device.Source) {
			s.Getenv = func(k string) string { return map[string]string{"KUBERNETES_SERVICE_HOST": "10.0.0.1"}[k] }
		},
		"overlay": func(r fstest.MapFS, _ *device.Source) {
			r["proc/self/mountinfo"] = file("1 0 0:1 / / rw - overlay overlay rw,lowerdir=/var/lib/containers/storage/x\n")
		},
	} {
		root, s := laptop(t)
		mark(root, &s)
		if f, err := s.Read(); !errors.Is(err, device.ErrContainer) {
			t.Errorf("%s: %v %v", name, f, err)
		}
		inner := s.Getenv
		s.Getenv = func(k string) string {
			if k == device.EnvID {
				return " Worker-7 "
			}
			return inner(k)
		}
		if f, err := s.Read(); err != nil || len(device.Changed(f, device.Named("Worker-7"))) != 0 {
			t.Errorf("%s with an id: %v %v", name, f, err)
		}
	}
}

// On this very machine there is a fingerprint or a clear reason why not.
func TestRead_ThisMachine(t *testing.T) {
	t.Parallel()
	f, err := device.Source{Getenv: func(string) string { return "" }}.Read()
	if err == nil && len(f) == 0 || err != nil && !errors.Is(err, device.ErrContainer) && !errors.Is(err, device.ErrNothing) {
		t.Fatal(f, err)
	}
}
