package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/mintreu/mintreu/service/db/dbtest/server"
)

const (
	everything = "github.com/mintreu/mintreu/..."
	// golden is the package that takes longest, much of it waiting. It comes first, so that others run beside it.
	golden = "github.com/mintreu/mintreu/service/e2e"
)

type testCommand struct {
	Only string `name:"run" help:"Run only tests that match."`
	Fast bool   `help:"Leave out the runs under the race detector and with failpoints."`
}

// Run runs every test of both modules, with MINTREU_PROOF=1, which raises the rounds of races that are proofs: once plainly, then what races under the race detector beside the kills at each step of
// the path with the failpoints compiled in.
func (c *testCommand) Run(ctx context.Context) error {
	start := time.Now()
	env, stop, err := prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var t tally
	args := []string{"-timeout", "35m"}
	if c.Only != "" {
		args = append(args, "-run", c.Only)
	}
	fmt.Println("\n== build and vet")
	if err := errors.Join(run(ctx, nil, "go", "vet", everything), run(ctx, nil, "go", "-C", peers, "vet", ".")); err != nil {
		t.broken = append(t.broken, "go vet")
	}
	const vetted = "-vet=off" // it was, just now
	if err := t.goTest(ctx, append(env, "MINTREU_PROOF=1"), "every test of both modules", append(slices.Clone(args), vetted, golden, everything)...); err != nil {
		return err
	}
	if !c.Fast {
		var race, kill tally // at once: those who are killed mostly wait
		var failed error
		var wg sync.WaitGroup
		wg.Go(func() {
			failed = kill.goTest(ctx, env, "kills at each step of the path", append(append([]string{"-tags", "failpoint", "-count", "1"}, args...), kills()...)...)
		})
		err := race.goTest(ctx, env, "the packages that race, under the race detector", append(append([]string{"-race", unwatched, vetted, "-short", "-p", "3", "-skip", alone}, args...), racing()...)...)
		wg.Wait()
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		t.add(&race)
		t.add(&kill)
	}
	return t.close(start)
}

// alone are long tests whose goroutines and processes share no memory, so that the race detector has nothing to see in them. They have run without
// it.
const alone = `^(TestK04_RotationNeverGetsStuck|TestJ53_NeverTheMostLenient|TestJ54_MintedTokensVerifyEverywhere|` +
	`TestK01_K02_K11_ImportTakesOnlyWhatWasAskedFor|TestK06_OneActiveKeyAfterEveryInterruption|TestK06_RevocationImportAndRootAfterEveryInterruption|` +
	`TestK08_WrongMasterKeyRefusesToStart|TestK12_CeremonyRefusesToGoBack|TestK13_ExportsLapse|TestK13_ExportNeedsTwoOwners|TestCeremony|` +
	`TestJ49_Mutants|TestL16_KilledAtEveryOperation|TestS07_FingerprintStuffing|TestCurrentToken_SpeaksInTheSameHands)$`

// unwatched leaves SQLite out of what the race detector looks at: one library, translated from C, in which no memory of ours is shared. It is most
// of what these tests run, and takes four times as long to be looked at.
const unwatched = "-gcflags=modernc.org/sqlite/lib=-race=false"

// racing are the packages whose tests are about concurrency.
func racing() []string {
	var out []string
	for _, p := range []string{"sdk/...", "service/limit/...", "service/kit/...", "service/feed/...", "service/killswitch/...", "licensing/...", "commerce/checkout/..."} {
		out = append(out, "github.com/mintreu/mintreu/"+p)
	}
	return out
}

func kills() []string {
	return []string{"github.com/mintreu/mintreu/service/failpoint", golden, "-run", "^(TestKill|TestFailpoint)"}
}

type e2eCommand struct{}

// Run runs the golden path and the fault tests alone.
func (*e2eCommand) Run(ctx context.Context) error {
	start := time.Now()
	env, stop, err := prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	var t tally
	if err := t.goTest(ctx, env, "the golden path", "-timeout", "25m", "-count", "1", golden); err != nil {
		return err
	}
	if err := t.goTest(ctx, env, "kills at each step of the path", append([]string{"-tags", "failpoint", "-count", "1", "-timeout", "15m"}, kills()...)...); err != nil {
		return err
	}
	return t.close(start)
}

type soakCommand struct {
	Part []string      `help:"Only these parts: races, kills, fuzz." enum:"races,kills,fuzz" default:"races,kills,fuzz"`
	Fuzz time.Duration `help:"How long each fuzz target runs." default:"10m"`
}

// Run repeats the race and fault tests in their long forms, for which MINTREU_SOAK=1 raises the rounds that tests read, and fuzzes.
func (c *soakCommand) Run(ctx context.Context) error {
	start := time.Now()
	env, stop, err := prepare(ctx)
	if err != nil {
		return err
	}
	defer stop()
	env = append(env, "MINTREU_SOAK=1")
	var t tally
	if slices.Contains(c.Part, "races") {
		if err := t.goTest(ctx, env, "long races", append([]string{"-race", unwatched, "-count", "1", "-timeout", "2h"}, racing()...)...); err != nil {
			return err
		}
	}
	if slices.Contains(c.Part, "kills") {
		if err := t.goTest(ctx, env, "long kills", append([]string{"-tags", "failpoint", "-count", "5", "-timeout", "2h"}, kills()...)...); err != nil {
			return err
		}
	}
	if slices.Contains(c.Part, "fuzz") {
		if err := c.fuzz(ctx, &t, env); err != nil {
			return err
		}
	}
	return t.close(start)
}

// fuzz runs each fuzz target for a while. What it finds becomes a seed in testdata/fuzz of the target's package.
func (c *soakCommand) fuzz(ctx context.Context, t *tally, env []string) error {
	found, err := fuzzTargets()
	if err != nil {
		return err
	}
	for _, f := range found {
		t.dir = f.module
		err := t.goTest(ctx, env, f.name+" of "+f.dir, "-run", "^$", "-fuzz", "^"+f.name+"$", "-fuzztime", c.Fuzz.String(), "./"+f.dir)
		if t.dir = ""; err != nil {
			return err
		}
	}
	return nil
}

// prepare installs what is missing, starts a private PostgreSQL and Redis, and returns the environment that points tests at them,
// and at a directory for the migrated file that they share.
func prepare(ctx context.Context) (env []string, stop func(), err error) {
	if err := install(ctx); err != nil {
		return nil, nil, err
	}
	if err := installGateway(ctx); err != nil {
		return nil, nil, err
	}
	tools, err := toolDir()
	if err != nil {
		return nil, nil, err
	}
	fmt.Println("starting private PostgreSQL and Redis …")
	pg, stopPG, err := server.StartPostgres(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("private PostgreSQL: %w", err)
	}
	redis, stopRedis, err := server.StartRedis(ctx)
	if err != nil {
		_ = stopPG()
		return nil, nil, fmt.Errorf("private Redis: %w", err)
	}
	templates, err := os.MkdirTemp("", "mintreu-templates-")
	if err != nil {
		return nil, nil, errors.Join(err, stopPG(), stopRedis())
	}
	env = []string{"MINTREU_TEST_TEMPLATES=" + templates, "PATH=" + tools + string(os.PathListSeparator) + os.Getenv("PATH"), "MINTREU_TEST_POSTGRES_URL=" + pg, "MINTREU_TEST_REDIS_URL=" + redis, "CI=true"}
	return env, func() { _, _, _ = stopRedis(), stopPG(), os.RemoveAll(templates) }, nil
}

type checkCommand struct{}

// Run checks formatting, vet and static analysis of both modules.
func (*checkCommand) Run(ctx context.Context) error {
	var faults []error
	fmt.Println("== gofmt")
	if err := gofmt(ctx); err != nil {
		faults = append(faults, err)
	}
	fmt.Println("== generated files")
	faults = append(faults, generated(ctx))
	fmt.Println("== go vet")
	faults = append(faults, run(ctx, nil, "go", "vet", everything), run(ctx, nil, "go", "vet", "-tags", "failpoint", everything), run(ctx, nil, "go", "-C", peers, "vet", "."))
	fmt.Println("== staticcheck (built on first use)")
	bin, err := toolDir()
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(bin, "staticcheck")); err != nil {
		if err := run(ctx, []string{"GOBIN=" + bin, "GOFLAGS="}, "go", "install", "honnef.co/go/tools/cmd/staticcheck@v0.8.2"); err != nil {
			return err
		}
	}
	faults = append(faults, run(ctx, nil, filepath.Join(bin, "staticcheck"), everything))
	return errors.Join(faults...)
}
