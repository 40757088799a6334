package provider

import "testing"

func TestSDKLogsOnlyIfLoggingIsOn(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		environment map[string]string
		want        string
	}{
		"nobody asked":             {map[string]string{}, "OFF"},
		"an empty variable":        {map[string]string{"TF_LOG": ""}, "OFF"},
		"a log of Terraform":       {map[string]string{"TF_LOG": "debug"}, "DEBUG"},
		"as JSON":                  {map[string]string{"TF_LOG": "JSON"}, "TRACE"},
		"the provider's log first": {map[string]string{"TF_LOG": "TRACE", "TF_LOG_PROVIDER": "WARN"}, "WARN"},
		"the user's own level":     {map[string]string{"TF_LOG_SDK": "INFO"}, ""},
		"only Terraform's core":    {map[string]string{"TF_LOG_CORE": "TRACE"}, "OFF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := ""
			err := quiet(func(name string) (string, bool) { v, ok := tt.environment[name]; return v, ok },
				func(name, value string) error {
					if name != "TF_LOG_SDK" {
						t.Errorf("%s was set", name)
					}
					got = value
					return nil
				})
			if err != nil || got != tt.want {
				t.Errorf("the SDK's level is %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}
