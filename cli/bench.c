/* SPDX-License-Identifier: MIT */
/* cli/bench.c - belfry bench: measure, compare, and write it down */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/bench.h"
#include "cli/cli.h"

#define REGRESSION     0.1 /* unless --max-regression says otherwise */
#define REGRESSION_MAX 1000

static const char help[] =
	"usage: belfry bench [OPTION]... [SCENARIO]...\n"
	"       belfry bench --compare BEFORE.json AFTER.json\n"
	"\n"
	"Measure doorbells and shared memory between guests: belfry beside the bare KVM\n"
	"path (the floor) and QEMU, taking turns. Without SCENARIO it measures all.\n"
	"\n"
	"what to measure:\n"
	"  --list                 scenarios and contestants, a line each\n"
	"  --quick                the main scenarios, in less than 20 seconds\n"
	"  --contestants LIST     such as floor,belfry\n"
	"  --runs N               runs of each (7; quick: 5)\n"
	"  --ms N                 length of a run in milliseconds (200; quick: 60)\n"
	"  --cpus LIST            host CPUs of the vCPUs, in turn, such as 2,3; or none\n"
	"\n"
	"what to write, each to FILE or - for standard output:\n"
	"  --json FILE            all settings, runs and histograms: belfry-bench(5)\n"
	"  --hgrm FILE            percentiles in HdrHistogram's format\n"
	"  --html FILE            a page with charts, which needs nothing else\n"
	"  --junit FILE           test results in JUnit's XML\n"
	"  --summary FILE         Markdown, appended: for $GITHUB_STEP_SUMMARY\n"
	"  --schema               print the JSON Schema of --json\n"
	"  --from FILE            measure nothing: take the result from FILE (JSON)\n"
	"\n"
	"is it slower than it was?\n"
	"  --baseline FILE        compare with an earlier result (JSON)\n"
	"  --max-regression PCT   slower by more than that is worse (10)\n"
	"  --judge ratio|time     judge ratios to the floor only, or times only; "
	"without\n"
	"                         it, ratios where the baseline has a floor, else times\n"
	"  --strict               refuse a baseline of another machine\n"
	"  --compare FILE FILE    short for --baseline FILE --from FILE\n"
	"\n"
	"  --floor [--no-link] GUEST [CMDLINE [CMDLINE]]\n"
	"                         run guests on the bare KVM path alone\n"
	"  --help                 this text\n"
	"\n"
	"exit status: 0 done, and not worse; 10 worse; 1 a measurement failed or a\n"
	"file was not written; 12 a scenario that is named cannot run here; 11 too "
	"noisy\n"
	"to tell, or not complete: the first of these that is true; 2 bad command line;\n"
	"3 bad baseline; 4 no KVM; 128+N ended by signal N\n"
	"\n"
	"examples:\n"
	"  belfry bench --quick\n"
	"  belfry bench doorbell-spin peers --html peers.html\n"
	"  belfry bench --quick --json new.json --baseline old.json\n";

enum {
	OPTION_LIST = CLI_OPTION_OWN,
	OPTION_QUICK,
	OPTION_CONTESTANTS,
	OPTION_RUNS,
	OPTION_MS,
	OPTION_CPUS,
	OPTION_BASELINE,
	OPTION_COMPARE,
	OPTION_REGRESSION,
	OPTION_JUDGE,
	OPTION_STRICT,
	OPTION_FROM,
	OPTION_FLOOR,
	OPTION_NO_LINK,
	OPTION_SCHEMA,
	OPTION_FILES, /* and on: by the place in the table of files */
};

static const struct option options[] = {
	{ "help", no_argument, NULL, CLI_OPTION_HELP },
	{ "list", no_argument, NULL, OPTION_LIST },
	{ "quick", no_argument, NULL, OPTION_QUICK },
	{ "contestants", required_argument, NULL, OPTION_CONTESTANTS },
	{ "runs", required_argument, NULL, OPTION_RUNS },
	{ "ms", required_argument, NULL, OPTION_MS },
	{ "cpus", required_argument, NULL, OPTION_CPUS },
	{ "baseline", required_argument, NULL, OPTION_BASELINE },
	{ "compare", required_argument, NULL, OPTION_COMPARE },
	{ "max-regression", required_argument, NULL, OPTION_REGRESSION },
	{ "judge", required_argument, NULL, OPTION_JUDGE },
	{ "strict", no_argument, NULL, OPTION_STRICT },
	{ "from", required_argument, NULL, OPTION_FROM },
	{ "floor", no_argument, NULL, OPTION_FLOOR },
	{ "schema", no_argument, NULL, OPTION_SCHEMA },
	{ "no-link", no_argument, NULL, OPTION_NO_LINK },
	{ "json", required_argument, NULL, OPTION_FILES + 0 },
	{ "html", required_argument, NULL, OPTION_FILES + 1 },
	{ "junit", required_argument, NULL, OPTION_FILES + 2 },
	{ "summary", required_argument, NULL, OPTION_FILES + 3 },
	{ "hgrm", required_argument, NULL, OPTION_FILES + 4 },
	{ 0 },
};

/* By their option's number; hgrm is several files, and has no format. */
static const struct file_kind {
	bench_format *format;
	bool append;
} file_kinds[] = {
	{ bench_format_json, false },
	{ bench_format_html, false },
	{ bench_format_junit, false },
	{ bench_format_markdown, true },
	{ NULL, false },
};
#define FILES (sizeof(file_kinds) / sizeof(file_kinds[0]))
#define HTML  1

struct command {
	struct bench_options measure;
	struct bench_rule rule;
	const char *baseline, *from;
	const char *files[FILES];
	bool list, schema, compare, floor, no_link;
	int signal; /* that came while it was measured */
};

/* --- options --- */

static int read_number(const char *option, const char *text, unsigned int max,
		       unsigned int *out)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || value < 1 || value > max)
		return cli_usage("--%s %s: expected a number from 1 to %u", option, text,
				 max);
	*out = value;
	return CLI_OK;
}

static int read_regression(const char *text, double *out)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value >= 0 && value <= REGRESSION_MAX))
		return cli_usage("--max-regression %s: expected a percentage from 0 to "
				 "%d",
				 text, REGRESSION_MAX);
	*out = value / 100;
	return CLI_OK;
}

static int read_judge(const char *text, enum bench_judge *out)
{
	if (strcmp(text, "ratio") == 0)
		*out = BENCH_JUDGE_RATIO;
	else if (strcmp(text, "time") == 0)
		*out = BENCH_JUDGE_TIME;
	else
		return cli_usage("--judge %s: expected ratio or time", text);
	return CLI_OK;
}

#define AT(member) offsetof(struct command, member)

/* Options that do nothing but set a switch, or note a text. */
static const struct place {
	int option;
	size_t at;
} switches[] = {
	{ OPTION_LIST, AT(list) },
	{ OPTION_SCHEMA, AT(schema) },
	{ OPTION_QUICK, AT(measure.quick) },
	{ OPTION_STRICT, AT(rule.strict) },
	{ OPTION_FLOOR, AT(floor) },
	{ OPTION_NO_LINK, AT(no_link) },
	{ OPTION_COMPARE, AT(compare) },
	{ 0 },
}, texts[] = {
	{ OPTION_CONTESTANTS, AT(measure.contestants) },
	{ OPTION_CPUS, AT(measure.cpus) },
	{ OPTION_FROM, AT(from) },
	{ OPTION_BASELINE, AT(baseline) },
	{ OPTION_COMPARE, AT(baseline) },
	{ 0 },
};

static void *find_place(struct command *c, const struct place *place, int option)
{
	while (place->option && place->option != option)
		place++;
	return place->option ? (char *)c + place->at : NULL;
}

static int take_option(struct command *c, int option, char **argv)
{
	struct cli_sources none = { .n_sets = 0 };
	bool *is_set = find_place(c, switches, option);
	const char **text = find_place(c, texts, option);

	if (is_set)
		*is_set = true;
	if (text)
		*text = optarg;
	if (is_set || text)
		return CLI_OK;
	switch (option) {
	case OPTION_RUNS:
		return read_number("runs", optarg, BENCH_RUNS_MAX, &c->measure.runs);
	case OPTION_MS:
		return read_number("ms", optarg, BENCH_MS_MAX, &c->measure.ms);
	case OPTION_REGRESSION:
		return read_regression(optarg, &c->rule.max_regression);
	case OPTION_JUDGE:
		return read_judge(optarg, &c->rule.judge);
	default:
		if (option < OPTION_FILES || option >= OPTION_FILES + (int)FILES)
			return cli_option(&none, option, argv);
		c->files[option - OPTION_FILES] = optarg;
		return CLI_OK;
	}
}

/* What is left after the options: scenarios, or what the options want. */
static int take_arguments(struct command *c, int argc, char **argv)
{
	if (c->floor && argc == optind)
		return cli_usage("bench --floor: expected GUEST");
	if (c->floor && argc - optind > 1 + BENCH_FLOOR_VMS_MAX)
		return cli_usage("bench --floor: at most %d command lines",
				 BENCH_FLOOR_VMS_MAX);
	if (c->floor)
		return CLI_OK;
	if (c->compare) {
		if (argc - optind != 1 || c->from)
			return cli_usage("bench --compare: expected two files");
		c->from = argv[optind];
		return CLI_OK;
	}
	if (c->from && argc > optind)
		return cli_usage("bench --from: takes no SCENARIO");
	if (argc - optind > BENCH_NAMES_MAX)
		return cli_usage("bench: at most %d scenarios", BENCH_NAMES_MAX);
	for (int i = optind; i < argc; i++)
		c->measure.scenarios[c->measure.n_scenarios++] = argv[i];
	return CLI_OK;
}

/* An option that would do nothing is a mistake: who gave it relies on it. */
static int check_options(const struct command *c)
{
	const struct {
		const char *name;
		bool given;
	} measuring[] = {
		{ "quick", c->measure.quick },
		{ "contestants", c->measure.contestants != NULL },
		{ "runs", c->measure.runs > 0 },
		{ "ms", c->measure.ms > 0 },
		{ "cpus", c->measure.cpus != NULL },
	}, judging[] = {
		{ "max-regression", c->rule.max_regression >= 0 },
		{ "judge", c->rule.judge != BENCH_JUDGE_AUTO },
		{ "strict", c->rule.strict },
	};

	for (size_t i = 0; c->from && i < sizeof(measuring) / sizeof(*measuring); i++)
		if (measuring[i].given)
			return cli_usage("bench --%s: takes no --%s",
					 c->compare ? "compare" : "from",
					 measuring[i].name);
	for (size_t i = 0; !c->baseline && i < sizeof(judging) / sizeof(*judging); i++)
		if (judging[i].given)
			return cli_usage("bench --%s: needs --baseline", judging[i].name);
	return c->no_link && !c->floor ? cli_usage("bench --no-link: needs --floor")
				       : CLI_OK;
}

/* --- the parts of it --- */

static int print_list(void)
{
	char *text = bench_list();
	int status = text ? cli_print(text) : CLI_FAILURE;

	free(text);
	return status;
}

static int run_floor(const struct command *c, int argc, char **argv)
{
	struct belfry_error err;
	int r = bench_run_floor(argv[optind], argv + optind + 1, argc - optind - 1,
				!c->no_link, &err);

	if (r < 0)
		return cli_fail(&err);
	if (r == 0)
		return CLI_OK;
	return CLI_GUEST_STATUS + (r < CLI_GUEST_STATUS_MAX ? r : CLI_GUEST_STATUS_MAX);
}

/* Whether a table would be in the way of a file on standard output. */
static bool stdout_is_taken(const struct command *c)
{
	for (size_t i = 0; i < FILES; i++)
		if (c->files[i] && strcmp(c->files[i], "-") == 0)
			return true;
	return false;
}

/* Where a file is on standard output, @instead has the text; NULL: nothing has. */
static int print_text(const struct command *c, char *text, FILE *instead)
{
	int status = CLI_OK;

	if (!text)
		cli_say("out of memory");
	else if (!stdout_is_taken(c))
		status = cli_print(text);
	else if (instead)
		fputs(text, instead);
	free(text);
	return text ? status : CLI_FAILURE;
}

static int write_file(const struct command *c, size_t i, const struct bench_result *r,
		      const struct bench_comparison *comparison)
{
	struct belfry_error err;
	char *text;
	int e;

	if (!c->files[i])
		return CLI_OK;
	if (!file_kinds[i].format) {
		e = bench_write_hgrm(r, c->files[i], &err);
	} else {
		text = file_kinds[i].format(r, comparison);
		e = bench_write(c->files[i], text, file_kinds[i].append, &err);
		free(text);
	}
	if (e == 0)
		return CLI_OK;
	cli_say("%s", err.msg);
	return CLI_FAILURE;
}

/*
 * All that can be written is; the first failure is the status. A limit on the size of
 * files is an error as another, and not the end.
 */
static int write_all(const struct command *c, const struct bench_result *r,
		     const struct bench_comparison *comparison)
{
	int status;

	signal(SIGXFSZ, SIG_IGN);
	status = print_text(c, bench_format_table(r, comparison), NULL);
	if (comparison && status == CLI_OK)
		status = print_text(c, bench_format_verdicts(r, comparison), stderr);
	for (size_t i = 0; i < FILES; i++) {
		int s = write_file(c, i, r, comparison);

		if (status == CLI_OK)
			status = s;
	}
	return status;
}

static int verdict_status(const struct bench_comparison *comparison)
{
	switch (bench_comparison_verdict(comparison)) {
	case BENCH_WORSE:
		return CLI_WORSE;
	case BENCH_NOISY:
		return CLI_NOISY;
	default:
		return CLI_OK;
	}
}

/* What is asked for by name, and cannot be measured here, must not pass for measured. */
static int say_what_cannot(const struct command *c, const struct bench_result *result)
{
	const unsigned int n = c->measure.n_scenarios;
	int status = CLI_OK;

	for (unsigned int i = 0; i < (n ? n : 1) && !c->from; i++) {
		const char *name = n ? c->measure.scenarios[i] : NULL;
		const char *why = bench_result_cannot(result, name);

		if (!why)
			continue;
		cli_say("%s%scannot run here: %s", name ? name : "", name ? ": " : "",
			why);
		status = CLI_CANNOT;
	}
	return status;
}

/* What is wrong with a baseline is never a fault of the host's. */
static int bad_baseline(const struct belfry_error *err)
{
	cli_say("%s", err->msg);
	return err->code == -ENOMEM ? CLI_FAILURE : CLI_BAD_CONFIG;
}

static int report(const struct command *c, const struct bench_result *before,
		  const struct bench_result *result)
{
	struct bench_comparison *comparison = NULL;
	struct belfry_error err;
	int compared = CLI_OK, cannot = say_what_cannot(c, result), status;

	/* What has just been measured is written, whatever the baseline. */
	if (before && bench_compare(&comparison, before, result, &c->rule, &err) < 0) {
		compared = bad_baseline(&err);
		if (c->from)
			return compared;
	}
	status = write_all(c, result, comparison);
	if (bench_result_failed(result, false, &err) < 0)
		cli_say("%s", err.msg);
	if (comparison)
		compared = verdict_status(comparison);
	if (compared == CLI_WORSE)
		status = CLI_WORSE;
	else if (status == CLI_OK)
		status = bench_result_failed(result, comparison, &err) < 0 ? CLI_FAILURE
									   : compared;
	if (status == CLI_OK && !c->from && !c->signal && bench_result_stopped(result)) {
		cli_say("not complete: %s", bench_result_stopped(result));
		status = CLI_NOISY;
	}
	if ((status == CLI_OK || status == CLI_NOISY) && cannot != CLI_OK)
		status = cannot;
	bench_comparison_destroy(comparison);
	return c->signal ? CLI_SIGNAL + c->signal : status;
}

static int get_result(struct command *c, struct bench_result **out)
{
	struct belfry_error err;
	int status;

	if (c->from)
		return bench_result_read(out, c->from, &err) < 0 ? bad_baseline(&err)
								 : CLI_OK;
	if (bench_measure(&c->measure, out, &c->signal, &err) == 0)
		return CLI_OK;
	if (err.code == -EINVAL)
		return cli_usage("%s", err.msg);
	status = cli_fail(&err); /* whose 3 is that of a baseline */
	return status == CLI_NO_HOST ? status : CLI_FAILURE;
}

static int check_files(const struct command *c)
{
	struct belfry_error err;

	if (c->files[HTML] && bench_html_missing()) {
		cli_say("--html: %s", bench_html_missing());
		return CLI_NO_HOST;
	}
	for (size_t i = 0; i < FILES; i++) {
		for (size_t k = 0; k < i && c->files[i]; k++)
			if (c->files[k] && strcmp(c->files[i], c->files[k]) == 0)
				return cli_usage("bench: two files are to go to '%s'",
						 c->files[i]);
		if (c->files[i] &&
		    bench_check_path(c->files[i], file_kinds[i].append, &err) < 0) {
			cli_say("%s", err.msg);
			return CLI_FAILURE;
		}
	}
	return CLI_OK;
}

static int read_baseline(const struct command *c, struct bench_result **out)
{
	struct belfry_error err;
	int r = bench_result_read(out, c->baseline, &err);

	if (r == 0 && !c->from)
		r = bench_check_baseline(*out, &c->measure, &c->rule, &err);
	return r < 0 ? bad_baseline(&err) : CLI_OK;
}

/* What can be wrong with files is told before minutes have passed. */
static int bench(struct command *c)
{
	struct bench_result *before = NULL, *result;
	struct belfry_error err;
	int status = bench_check_names(&c->measure, &err) < 0 ? cli_usage("%s", err.msg)
							      : check_files(c);

	if (status == CLI_OK && c->baseline && c->measure.runs &&
	    c->measure.runs < BENCH_RUNS_NEEDED)
		status = cli_usage("--runs %u: a comparison needs at least %d",
				   c->measure.runs, BENCH_RUNS_NEEDED);
	if (status == CLI_OK && c->baseline)
		status = read_baseline(c, &before);
	if (status == CLI_OK)
		status = get_result(c, &result);
	if (status == CLI_OK) {
		status = report(c, before, result);
		bench_result_destroy(result);
	}
	bench_result_destroy(before);
	return status;
}

int cli_bench(int argc, char **argv)
{
	struct command c = { .rule.max_regression = -1 }; /* not given */
	int option, status = CLI_OK;

	while ((option = getopt_long(argc, argv, CLI_SHORT_OPTIONS, options, NULL)) !=
	       -1) {
		if (option == CLI_OPTION_HELP || option == 'h')
			return cli_print(help);
		status = take_option(&c, option, argv);
		if (status != CLI_OK)
			return status;
	}
	status = take_arguments(&c, argc, argv);
	if (status == CLI_OK)
		status = check_options(&c);
	if (status != CLI_OK)
		return status;
	if (c.rule.max_regression < 0)
		c.rule.max_regression = REGRESSION;
	c.measure.progress = isatty(STDERR_FILENO);
	if (c.list)
		return print_list();
	if (c.schema)
		return cli_print(bench_schema());
	return c.floor ? run_floor(&c, argc, argv) : bench(&c);
}
