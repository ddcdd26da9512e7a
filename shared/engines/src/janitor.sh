# Removes a temporary folder when the parent is gone and the engines in it have stopped.
#
# usage: janitor FOLDER PIDFILE…, with a pipe from the parent as standard input.
unset GRISTMILL_SCRIPT
folder=$1
shift
read -r _
tries=300
for pidfile in "$@"; do
    while [ "$tries" -gt 0 ] && read -r pid <"$pidfile" && kill -s 0 "$pid"; do
        tries=$((tries - 1))
        sleep 0.1
    done
done 2>/dev/null
rm -rf "$folder"
