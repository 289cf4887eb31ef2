package e2e_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// guideBlocks are the blocks of code of a guide in one language, in their order.
func guideBlocks(t *testing.T, guide, language string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../web/guide/docs", guide))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllSubmatch(text, -1) {
		out = append(out, string(m[1]))
	}
	return out
}

// shell runs a script as somebody at a terminal in dir would, with the program in the path.
func shell(t *testing.T, dir, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-e", "-o", "pipefail", "-c", script)
	cmd.Dir = dir
	cmd.Env = environment("PATH=" + filepath.Dir(mintreu(t)) + string(os.PathListSeparator) + os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s\nsaid:\n%s", err, script, out)
	}
	return string(out)
}

// shopOf starts a shop in dir/mintreu-data, where the commands of a terminal in dir find it.
func shopOf(t *testing.T, dir string, options ...string) *process {
	t.Helper()
	shop, err := serve(t.Context(), mintreu(t), nil, append([]string{"--data-dir", filepath.Join(dir, "mintreu-data")}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(shop.kill)
	return shop
}

// sellFirst follows the guide to a first sale and returns what the last commands said.
func sellFirst(t *testing.T, dir, base string) string {
	t.Helper()
	files := guideBlocks(t, "start.md", "json")
	if len(files) != 2 {
		t.Fatalf("start.md has %d files, want catalogue.json and policy.json", len(files))
	}
	for i, name := range []string{"catalogue.json", "policy.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[i]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var script strings.Builder
	for _, block := range guideBlocks(t, "start.md", "sh") {
		if first := strings.TrimSpace(block); first != "mintreu demo" && first != "mintreu serve" { // both go on; tests of their own run them
			script.WriteString(strings.ReplaceAll(block, "http://127.0.0.1:8080", base))
		}
	}
	return shell(t, dir, script.String())
}

// TestGuide_Start: the guide to a first sale works as written, from the import of the catalogue to the invariants.
func TestGuide_Start(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	shop := shopOf(t, dir)
	said := sellFirst(t, dir, shop.url)
	for _, want := range []string{"A dry run: nothing was kept", "editor is active", `"state":"fulfilled"`, "EDIT-", "receipt.pdf", "Every invariant holds", shop.root(t)} {
		if !strings.Contains(said, want) {
			t.Errorf("the guide's commands do not say %q:\n%s", want, said)
		}
	}
}

// TestGuide_Commands: the commands of the guides to switches, accounts, support and mail that comes in work as written, beside a running
// service with a sale in it.
func TestGuide_Commands(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	shop := shopOf(t, dir)
	sellFirst(t, dir, shop.url)
	for guide, wants := range map[string][]string{
		"switches.md": {"payments", "wrong tax rate"},
		"accounts.md": {"you@example.com", "owner", "build server", "staff.create"},
		"support.md":  {"no such tickets"},
	} {
		said := shell(t, dir, strings.Join(guideBlocks(t, guide, "sh"), ""))
		for _, want := range wants {
			if !strings.Contains(said, want) {
				t.Errorf("the commands of %s do not say %q:\n%s", guide, want, said)
			}
		}
	}
	said := followed(t, dir, shop, "operations.md")
	for _, want := range []string{"Backed up to", "Every invariant holds", `"ticket"`} {
		if !strings.Contains(said, want) {
			t.Errorf("the commands of operations.md do not say %q:\n%s", want, said)
		}
	}
	if found, err := filepath.Glob(filepath.Join(dir, "restored", "*.sqlite")); err != nil || len(found) != 1 {
		t.Errorf("nothing was restored: %v, %v", found, err)
	}
}

// followed runs the commands of a guide, but for those that go on, in a terminal where shop runs.
func followed(t *testing.T, dir string, shop *process, guide string) string {
	t.Helper()
	var script strings.Builder
	for _, block := range guideBlocks(t, guide, "sh") {
		if !strings.HasPrefix(block, "mintreu serve") {
			script.WriteString(block)
		}
	}
	return shell(t, dir, strings.NewReplacer("https://shop.example", shop.url, "curl ", "curl -sS ").Replace(script.String()))
}

// TestGuide_Protect: what the guide to protecting an API has for the terminal works as written after the guide to a first sale: a key is made, verified
// by the terminal and by a back end, spent by reserving and settling, and found by scanners; whoever reports it ends it.
func TestGuide_Protect(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	shop := shopOf(t, dir)
	sellFirst(t, dir, shop.url)
	said := followed(t, dir, shop, "protect.md")
	for _, want := range []string{"VALID", `"valid":true`, `"used":37`} {
		if !strings.Contains(said, want) {
			t.Errorf("the commands do not say %q:\n%s", want, said)
		}
	}
	said = shell(t, dir, "cat .gitleaks.toml detectors.yaml\n! mintreu apikey verify --file key.txt 2>&1")
	for _, want := range []string{"[[rules]]", "detectors:", "REVOKED"} {
		if !strings.Contains(said, want) {
			t.Errorf("afterwards there is no %q:\n%s", want, said)
		}
	}
}

// TestGuide_Keys: the commands of the guide to keys and roots work as written: rotation, a stolen key, the root moved offline, a ceremony with the very
// commands that its steps name; and elsewhere a second root, which takes the place of the first.
func TestGuide_Keys(t *testing.T) {
	t.Parallel()
	const yes = "mintreu() { command mintreu \"$@\" <<<y; }\n" // who follows the guide answers what is asked
	blocks := guideBlocks(t, "keys.md", "sh")
	if len(blocks) != 4 {
		t.Fatalf("keys.md has %d blocks, want rotation, a stolen key, export and more roots", len(blocks))
	}
	text, err := os.ReadFile("../web/guide/docs/keys.md")
	if err != nil {
		t.Fatal(err)
	}
	_, ceremony, _ := strings.Cut(string(text), "## A ceremony")
	steps := regexp.MustCompile("`(mintreu keyring root (?:request|sign|import-keyset) [^`]+)`").FindAllStringSubmatch(ceremony, 3)
	if len(steps) != 3 {
		t.Fatalf("a ceremony has %d steps", len(steps))
	}
	dir := shortDir(t)
	shopOf(t, dir)
	script := yes + blocks[0] + "KID=$(mintreu keyring list | awk '$2 == \"signing\" && $3 == \"active\" {print $1}')\n" +
		strings.Replace(blocks[1], "KID", `"$KID"`, 1) + blocks[2]
	for _, step := range steps {
		script += step[1] + "\n"
	}
	said := shell(t, dir, script+"mintreu verify\n")
	for _, want := range []string{"is retired", "is revoked in keyset", "Root offline", "is published", "Every invariant holds"} {
		if !strings.Contains(said, want) {
			t.Errorf("the commands do not say %q:\n%s", want, said)
		}
	}

	dir = shortDir(t)
	shopOf(t, dir)
	more := strings.Split(strings.TrimSpace(blocks[3]), "\n")
	said = shell(t, dir, yes+"echo a long passphrase > pass\n"+more[0]+" > root.txt\n"+
		strings.Replace(more[1], "PUBLICKEY", `"$(sed -n 2p root.txt)"`, 1)+"\n"+
		strings.Replace(more[2], "THUMBPRINT", `"$(sed -n 's/Thumbprint: //p' root.txt)"`, 1)+"\nsed -n 2p root.txt; mintreu keyring roots\n")
	if lines := strings.Split(strings.TrimSpace(said), "\n"); len(lines) < 2 || lines[len(lines)-1] != lines[len(lines)-2] {
		t.Errorf("the second root has not taken the place of the first:\n%s", said)
	}
}

// TestGuide_Usage: the guide to metering works as written, beside a running service with a sale in it: an event is counted in binary mode, once though
// a batch has it again, read, explained and taken back.
func TestGuide_Usage(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	shop := shopOf(t, dir)
	sellFirst(t, dir, shop.url)
	said := shell(t, dir, strings.ReplaceAll(strings.Join(guideBlocks(t, "usage.md", "sh"), ""), "http://127.0.0.1:8080", shop.url))
	for _, want := range []string{`"code":"pages.rendered"`, `{"counted":1,"duplicates":0}`, `{"counted":1,"duplicates":1}`, `"value":42`, "closing", "took back 1 event and a sum of 30"} {
		if !strings.Contains(said, want) {
			t.Errorf("the commands of usage.md do not say %q:\n%s", want, said)
		}
	}
}

// freeAddr is an address at which nothing listens yet.
func freeAddr(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// background runs a program until the test ends, and shows what it said when the test fails.
func background(t *testing.T, env []string, program string, args ...string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	said := &journal{}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(env...), said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%s", filepath.Base(program), said.String())
		}
	})
}

// TestExamples: the examples work against the real service: a product activates with the key that was sold and runs its paid
// feature, an application opens what the plan grants and no more, and a license file is verified without the service.
// TestExampleAPIKey and TestExampleStorefront run the others.
func TestExamples(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	shop := shopOf(t, dir)
	said := sellFirst(t, dir, shop.url)
	key := regexp.MustCompile(`EDIT(-[0-9A-Z]{5})+`).FindString(said)
	license := regexp.MustCompile(`lic_[0-9a-f]{32}`).FindString(said)
	if key == "" || license == "" {
		t.Fatalf("no license in:\n%s", said)
	}
	build := exec.Command("go", "build", "-buildvcs=false", "-o", dir+string(filepath.Separator), "github.com/mintreu/mintreu/examples/...")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	product := "env MINTREU_DEVICE_ID=laptop XDG_CONFIG_HOME=" + dir + "/config ./activate-in-app -env test -product editor -server " + shop.url + " -root " + shop.root(t)
	out := shell(t, dir, product+" activate "+key+"\n"+product+" export\n"+product+" deactivate\n"+
		"! "+product+" export\nmintreu license file "+license+" --to license.txt\nmintreu license inspect license.txt --root "+shop.root(t))
	for _, want := range []string{"VALID", "Exported up to 25 projects.", "The seat is free again.", "Export is part of the Pro plan", "verified: yes"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	addr := freeAddr(t)
	background(t, []string{"MINTREU_DEVICE_ID=server", "XDG_CONFIG_HOME=" + dir + "/gate"}, filepath.Join(dir, "gate-feature"),
		"-env", "test", "-product", "editor", "-server", shop.url, "-root", shop.root(t), "-license", key, "-addr", addr)
	eventually(t, "the application to answer", time.Minute, func() bool {
		status, _, _ := fetch(t.Context(), http.MethodGet, "http://"+addr+"/license", nil, nil)
		return status == http.StatusOK
	})
	out = shell(t, dir, "for i in $(seq 26); do curl -s -X POST http://"+addr+"/projects; done; curl -s -X POST http://"+addr+"/export; curl -s http://"+addr+"/license")
	for _, want := range []string{"project 25\nYour plan has room for 25.", "25 exported", `"code":"VALID"`} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	shop.kill()
	out = shell(t, dir, "export MINTREU_DEVICE_ID=laptop\n! ./offline-verify -env test -product editor -root "+shop.root(t)+" license.txt\n! ./offline-verify -product editor -root "+shop.root(t)+" license.txt 2>&1")
	if !strings.Contains(out, license) || !strings.Contains(out, "ACTIVATION_REQUIRED") || !strings.Contains(out, "not authentic") {
		t.Errorf("offline said:\n%s", out)
	}
}
