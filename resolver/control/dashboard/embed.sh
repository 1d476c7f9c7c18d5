#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# embed.sh FILE…: writes a C file that holds these files (assets.h says in which form).
set -eu
LC_ALL=C
export LC_ALL

echo '/* Written by embed.sh. */'
echo '#include "resolver/control/dashboard/assets.h"'

# Scripts and sheets go without their comments and indentation, which are for whoever reads the source; the lines stay, so that lines in a browser's tools are
# lines of the source. Comments that begin a line only: what stands behind code is left, and so is any text that looks like one. No text of ours goes on over a
# line's end, where its indentation would matter. Sheets go without blanks behind their signs, too: no text of theirs has such a sign and a blank.
tighten()
{
	case $1 in
	*.css) sed 's/ {/{/g; s/\([:{;,]\) /\1/g; s/;}/}/g' ;;
	*) cat ;;
	esac
}

served()
{
	case $1 in
	*.js | *.css)
		awk '
			inside { if (index($0, "*/")) inside = 0; print ""; next }
			/^[ \t]*\/\*.*\*\/[ \t]*$/ { print ""; next }
			/^[ \t]*\/\*/ && !index($0, "*/") { inside = 1; print ""; next }
			/^[ \t]*\/\/ / { print ""; next }
			{ sub(/^[ \t]+/, ""); print }' "$1" | tighten "$1"
		;;
	*) cat "$1" ;;
	esac
}

number=0
for file in "$@"; do
	echo "static const unsigned char file_$number[] = {"
	served "$file" | od -An -v -tx1 | sed 's/ *\([0-9a-f][0-9a-f]\)/0x\1,/g'
	echo '0};'
	number=$((number + 1))
done
echo 'const struct embedded_file embedded_files[] = {'
number=0
for file in "$@"; do
	echo "	{\"${file##*/}\", file_$number, sizeof(file_$number) - 1},"
	number=$((number + 1))
done
echo '};'
echo 'const size_t embedded_file_count = sizeof(embedded_files) / sizeof(embedded_files[0]);'
