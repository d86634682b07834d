# What `make bench` compares, and the goals. Input: lines of raw figures, each
# "kernel what subject size minimum median maximum samples" (tabs between), one for
# each machine. Output: what becomes bench.json.

# The lower one of two: what disturbs a machine only adds.
def median: sort | .[(length - 1) / 2 | floor];

def parse:
	{kernel: .[0], what: .[1], subject: .[2], size: (.[3] | tonumber),
		minimum: (.[4] | tonumber), median: (.[5] | tonumber),
		maximum: (.[6] | tonumber), samples: (.[7] | tonumber)};

# Where threads waited: "kernel locks memory function type waits microseconds".
def parse_lock:
	{memory: .[2], function: .[3], type: .[4], waits: (.[5] | tonumber),
		microseconds: (.[6] | tonumber)};

# One figure for all machines of a kernel: the median of their medians.
def figures:
	group_by([.kernel, .what, .subject, .size]) | map(
		(map(.median) | sort) as $medians |
		.[0] + {value: ($medians | median), boots: $medians,
			spread: (if $medians[0] > 0 then
				($medians[-1] - $medians[0]) / ($medians | median)
				else 0 end)} | del(.median));

def pretty_size:
	if . >= 1048576 then "\(. / 1048576) MiB"
	elif . > 0 then "\(. / 1024) KiB" else "" end;

def find($figures; $key):
	[$figures[] | select([.kernel, .what, .subject, .size] == $key)] | first;

# A pair of figures; nothing where one of them was not measured.
def pair($figures; $name; $a; $b):
	find($figures; $a) as $x | find($figures; $b) as $y |
	if $x and $y then
		{label: $name, figure: $x.value, against: $y.value,
		 ratio: ($x.value / $y.value),
		 spread: ([$x.spread, $y.spread] | max)}
	else empty end;

def sizes($figures; $what; $subject):
	[$figures[] | select(.kernel == "release" and .what == $what and
		.subject == $subject) | .size] | unique | .[];

# Memory of two kinds, on the same kernel.
def kinds($figures; $a; $b):
	sizes($figures; "reg"; $a) as $size |
	pair($figures; $size | pretty_size; ["release", "reg", $a, $size];
	     ["release", "reg", $b, $size]);

# All subjects of a group, the patched kernel against the stock one.
def kernels($figures; $what):
	$figures[] | select(.kernel == "release" and .what == $what) |
	pair($figures; .subject + (if .size > 0 then " " + (.size | pretty_size) else "" end);
	     ["release", .what, .subject, .size]; ["stock", .what, .subject, .size]);

def counts($figures; $what; $many; $few):
	$figures[] | select(.what == $what and .size == $many) |
	pair($figures; .subject; [.kernel, .what, .subject, $many];
	     [.kernel, .what, .subject, $few]);

# All subjects of a group whose names match, the patched kernel against the stock one.
def kernels_of($figures; $what; $pattern):
	kernels($figures; $what) | select(.label | test($pattern));

# What one of 8 threads takes, a file for each or one for all, against one of 8 with
# memory that is no file's.
def threads($figures; $mode):
	def time($mode): find($figures; ["release", "threads", $mode, 8]) | .value;
	if time($mode) and time("anon") then
		{label: $mode, figure: time($mode), against: time("anon"),
		 ratio: (time($mode) / time("anon")), spread: 0}
	else empty end;

def row($id; $measured; $against; $goal; pairs):
	{id: $id, measured: $measured, against: $against, goal: $goal, pairs: [pairs]} |
	.worst = (.pairs | max_by(.ratio)) |
	.verdict = if .worst == null then "not measured" elif $goal == null then "reported"
		elif .worst.ratio <= $goal then "met" else "missed" end;

[inputs | split("\t")] |
([.[] | select(.[1] == "locks") | parse_lock]) as $locks |
([.[] | select(.[1] != "locks") | parse] | figures) as $f | {
	figures: $f,
	locks: $locks,
	rows: [
		row("reg-4k-anon"; "reg+dereg, leased fsdax, 4 KiB mappings"; "anonymous 4 KiB"; 1.05;
			kinds($f; "fsdax-4k"; "anon")),
		row("reg-2m-thp"; "reg+dereg, leased fsdax, 2 MiB mappings"; "anonymous THP"; 1.05;
			kinds($f; "fsdax-2m"; "thp")),
		row("reg-2m-devdax"; "reg+dereg, leased fsdax, 2 MiB mappings"; "device DAX"; 1.0;
			kinds($f; "fsdax-2m"; "devdax")),
		row("reg-holder"; "reg+dereg, anonymous, by the holder of a lease"; "by others"; 1.005;
			kinds($f; "anon-leased"; "anon")),
		row("reg-stock"; "reg+dereg, other memory"; "stock kernel"; 1.005;
			kernels($f; "reg")),
		row("path-mapped"; "truncate of a file that is or was mapped"; "stock kernel"; null;
			kernels_of($f; "path"; "mapped")),
		row("path-stock"; "all else on files without leases"; "stock kernel"; 1.005;
			kernels_of($f; "path"; "^((?!mapped).)*$")),
		row("refused-regions"; "refused truncate, 1,000,000 regions"; "1 region"; 1.3;
			counts($f; "refused"; 1000000; 1)),
		row("refused-scan"; "refused truncate, 512 MiB mapped"; "stock scan of it"; 0.01;
			kernels($f; "scan")),
		row("threads"; "reg+dereg, 8 threads, a file for each"; "8 threads, anonymous"; 1.05;
			threads($f; "own-files")),
		row("threads-one"; "reg+dereg, 8 threads, one file"; "8 threads, anonymous"; null;
			threads($f; "one-file")),
		row("file_pins"; "file_pins, 100,000 regions, 10 files"; "10 regions"; 1.1;
			counts($f; "file_pins"; 100000; 10))
	]
}
