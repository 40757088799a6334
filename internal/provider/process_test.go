package provider

import (
	"strings"
	"testing"
)

func TestSDKLogsOnlyIfLoggingIsOn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		environment map[string]string
		want        string
		discarded   bool
	}{
		"nobody asked":             {map[string]string{}, "OFF", true},
		"an empty variable":        {map[string]string{"TF_LOG": ""}, "OFF", true},
		"a log of Terraform":       {map[string]string{"TF_LOG": "debug"}, "DEBUG", false},
		"as JSON":                  {map[string]string{"TF_LOG": "JSON"}, "TRACE", false},
		"the provider's log first": {map[string]string{"TF_LOG": "TRACE", "TF_LOG_PROVIDER": "WARN"}, "WARN", false},
		"the user's own level":     {map[string]string{"TF_LOG_SDK": "INFO"}, "", true},
		"all levels by the user":   {map[string]string{"TF_LOG_SDK": "INFO", "TF_LOG": "info"}, "", false},
		"only Terraform's core":    {map[string]string{"TF_LOG_CORE": "TRACE"}, "OFF", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			discarded, err := quiet(func(name string) (string, bool) { v, ok := tt.environment[name]; return v, ok },
				func(name, value string) error {
					if !strings.HasPrefix(name, "TF_LOG_SDK") || got != "" && got != value {
						t.Errorf("%s was set to %s", name, value)
					}
					got = value
					return nil
				})
			if err != nil || got != tt.want {
				t.Errorf("the SDK's level is %q, %v, want %q", got, err, tt.want)
			}
			if discarded != tt.discarded {
				t.Errorf("lines are discarded: %v, want %v", discarded, tt.discarded)
			}
		})
	}
}

// TestMemoryLimitFollowsThePlans: with its own pages, the provider needs at most 1.5 times the memory of the bench's
// bare provider, which took 54 MB for 300 resources and 142 MB for 1,000.
func TestMemoryLimitFollowsThePlans(t *testing.T) {
	t.Parallel()
	const ownPages = 30 << 20
	for plans, bare := range map[int64]int64{300: 54 << 20, 1000: 142 << 20} {
		if got := memoryLimit(plans) + ownPages; got > bare*3/2 {
			t.Errorf("%d plans: %d bytes, want at most %d", plans, got, bare*3/2)
		}
	}
	if memoryLimit(manyPlans) >= memoryLimit(2*manyPlans) {
		t.Error("the limit does not grow")
	}
}
