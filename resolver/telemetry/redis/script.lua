-- SPDX-License-Identifier: BSD-3-Clause
-- Applies one numbered batch, once. Redis runs it alone and to the end, but does not roll back: so everything is checked before the
-- first write, the number is advanced by the first write (if that one is refused, for memory or on a replica, nothing happened and the batch is
-- sent again), and no later command can stop the rest.
--
-- KEYS[1]  teredown:{R}:applied
-- ARGV     instance, boot of the sender, lease in ms; nothing else when only the lease is asked for (0: given back). Then
--          boot, number, schema, version, started, now (Unix ms), retention, pair retention (s), the ten bounds, then items:
--   c client hour first last N (counter value)*N     counters of a client in an hour
--   h hour N (counter value)*N                        their sum
--   q client name hour queries hits last              who asked what
--   p address client name first last count owner      who was told what
--   t address hour source count                       when
--   z zone client hits last                           hits of a policy zone
--   r zone rule hits last                             hits of a rule
--   s client first last server                        when it was told the address of a Teredo server
--   m client field text                               what is known of a client beside its counters: name, forwarder; '' takes it away
--   g upstreams N (gauge value)*N                  the daemon's own figures, as they are now
--   w gauge text                                   one that is no single number
--   n day name count weight                           top names; weight is of their estimate, for "*other" what any name may lack
--   d day name count                                  the same, as it was in version 1
--   x ts json      e ts json                          entries of the streams transactions, events
--   k hour                                            hours up to this one are complete
-- Hours and days are counted from 1970, times are Unix ms.
--
-- A key family that is full, or a Redis that is nearly full, never stops the counting: what has no place is counted under "*other", and what was
-- not seen for longest makes room, a few members a call.
--
-- Returns {"applied" | "duplicate" | "invalid" | "lease", number, failed commands, first error, recording_since, store, who came back}; an error "FENCED
-- <boot>" while another instance holds the lease, "NEWER …" over data of a newer schema. Data of an older one are migrated by calls for the
-- lease, a step each: the number in their answer is 1 while there is more to do. `store` is a random marker that the first batch makes: it tells an emptied Redis from one
-- that lost something.

local OTHER = '*other'
local SCHEMA = 2
-- s text, n number, i hour or day, C counters
local ITEMS = { c = 'sinnC', h = 'iC', q = 'ssinnn', p = 'sssnnns', t = 'sisn', z = 'ssnn', n = 'isnn', d = 'isn', x = 'ns', e = 'ns', k = 'i', m = 'sss', g = 'sC', w = 'ss', r = 'ssnn', s = 'snns' }
local HEADER = 'snnsnnnnnnnnnnnnnn'

local FIRST = 4 -- where the header begins
-- Of the memory that Redis may use: no new detail, nothing new at all. Tables of Redis that double when they grow take the last tenth at once.
local TIGHT, FULL = 0.8, 0.9
local BUFFERS = 1048576 -- bytes that connections and this script may take besides
local FOLDS = 4 -- clients that make room in one call
local REMOVALS = 8 -- names, and addresses
local CLOCK_STEP = 3600000 -- a lease that ends later than this was given before Redis's clock stepped back

local prefix = string.sub(KEYS[1], 1, -#'applied' - 1)
local meta = prefix .. 'meta'

local function is_error(reply)
	return type(reply) == 'table' and reply.err ~= nil
end

-- In a cluster, a slot on the move has some of its keys on another node, and commands on those fail one by one: half a batch would be applied.
-- A key that never exists tells: on a node whose slot is leaving it counts as gone already. Nothing is written then; the batch is sent again.
local probe = redis.pcall('EXISTS', prefix .. 'none')
if is_error(probe) then return redis.error_reply('TRYAGAIN nothing was written: ' .. probe.err) end

-- One writer ---------------------------------------------------------------

local instance, sender, lease_ms = ARGV[1], ARGV[2], tonumber(ARGV[3]) or 0
local clock = redis.call('TIME')
local redis_ms = tonumber(clock[1]) * 1000 + math.floor(tonumber(clock[2]) / 1000)

local lease = redis.pcall('HMGET', meta, 'lease_instance', 'lease_boot', 'lease_until', 'schema', 'pressure', 'migrated')
if is_error(lease) then lease = {} end
local left = (tonumber(lease[3] or nil) or 0) - redis_ms
if lease[1] and lease[1] ~= instance and left > 0 and left < CLOCK_STEP then
	return redis.error_reply('FENCED ' .. (lease[2] or ''))
end

local schema_found = tonumber(lease[4] or nil)
if schema_found and schema_found > SCHEMA then
	return redis.error_reply('NEWER it holds data of schema version ' .. schema_found .. '; this program writes ' .. SCHEMA)
end

local write_first
local function take_lease()
	if instance == '' then return false end
	if lease_ms == 0 then return redis.pcall('HDEL', meta, 'lease_instance', 'lease_boot', 'lease_until') end
	return write_first('HSET', meta, 'lease_instance', instance, 'lease_boot', sender, 'lease_until', string.format('%.0f', redis_ms + lease_ms))
end

-- returned: clients that came back, each with its zone and when.
local function answer(status, number, failed, first_error, returned)
	local known = redis.pcall('HMGET', meta, 'recording_since', 'store')
	if is_error(known) then known = {} end
	return { status, number, failed, first_error, known[1] or false, known[2] or false, returned or {} }
end

-- Memory -------------------------------------------------------------------

local pressure, memory = tonumber(lease[5] or nil) or 0, nil

-- INFO costs ten microseconds, so it is asked now and then, and the answer kept in `meta` for the calls between.
local function measure_memory()
	local info = redis.pcall('INFO', 'memory')
	if type(info) ~= 'string' then return end
	local used, most = tonumber(string.match(info, 'used_memory:(%d+)')), tonumber(string.match(info, 'maxmemory:(%d+)'))
	if not used or not most then return end
	used = used - (tonumber(string.match(info, 'mem_not_counted_for_evict:(%d+)')) or 0)
	local part = most > 0 and (used + BUFFERS) / most or 0
	pressure = part >= FULL and 2 or part >= TIGHT and 1 or 0
	memory = { 'memory_used', string.format('%.0f', used), 'memory_max', string.format('%.0f', most), 'pressure', pressure }
end

-- Of a name, of an address; `history:` is what ingest.lua has of it.
local KEYS_OF = {
	names = function(name) return prefix .. 'name:' .. name, prefix .. 'name:' .. name .. ':clients' end,
	addresses = function(address) return prefix .. 'pair:' .. address, prefix .. 'timeline:' .. address, prefix .. 'history:' .. address end,
}

-- A member of an index, with its keys. UNLINK, because a key with many members is freed elsewhere.
local function remove_member(family, member)
	redis.pcall('ZREM', prefix .. family, member)
	redis.pcall('UNLINK', KEYS_OF[family](member))
end

-- The oldest detail goes; returns how many members did.
local function trim(most)
	local count = 0
	for family in pairs(KEYS_OF) do
		local oldest = redis.pcall('ZRANGE', prefix .. family, 0, most - 1)
		for _, member in ipairs(is_error(oldest) and {} or oldest) do
			remove_member(family, member)
			count = count + 1
		end
	end
	return count
end

local function trim_lines()
	local count = redis.pcall('XTRIM', prefix .. 'transactions', 'MAXLEN', '~', 1000)
	return is_error(count) and 0 or count
end

local function trim_window(from, most)
	local keys = redis.pcall('ZRANGE', prefix .. 'clients', from, from + most - 1)
	if is_error(keys) or not keys[1] then return 0 end
	for k, client in ipairs(keys) do keys[k] = prefix .. 'client:' .. client .. ':names' end
	local count = redis.pcall('UNLINK', unpack(keys))
	return is_error(count) and 0 or count
end

-- When all that is older is gone: what some clients ask for, wherever the clock points.
local function trim_client_names(most, windows)
	local card, count = redis.pcall('ZCARD', prefix .. 'clients'), 0
	if is_error(card) then return 0 end
	for window = 1, windows do
		count = count + trim_window(card > most and (redis_ms + window * 7919) % (card - most + 1) or 0, most)
		if count > 0 then break end
	end
	return count
end

-- Redis refuses the first write where memory is full, but not a removal, and after one it refuses nothing.
function write_first(...)
	local reply = redis.pcall(...)
	if is_error(reply) and string.find(reply.err, 'OOM', 1, true) and (trim(32) > 0 or trim_lines() > 0 or trim_client_names(64, 10) > 0) then
		pressure = 2
		reply = redis.pcall(...)
	end
	return reply
end

-- Time ---------------------------------------------------------------------

-- Gregorian date of a day since 1970.
local function date_of(day)
	local z = day + 719468
	local era = math.floor(z / 146097)
	local doe = z - era * 146097
	local yoe = math.floor((doe - math.floor(doe / 1460) + math.floor(doe / 36524) - math.floor(doe / 146096)) / 365)
	local doy = doe - (365 * yoe + math.floor(yoe / 4) - math.floor(yoe / 100))
	local mp = math.floor((5 * doy + 2) / 153)
	local month = mp < 10 and mp + 3 or mp - 9
	return yoe + era * 400 + (month <= 2 and 1 or 0), month, doy - math.floor((153 * mp + 2) / 5) + 1
end

local function memoise(make)
	local known = {}
	return function(key)
		local value = known[key]
		if not value then
			value = make(key)
			known[key] = value
		end
		return value
	end
end

local day_text = memoise(function(day) return string.format('%04d%02d%02d', date_of(day)) end)
local hour_text = memoise(function(hour) return day_text(math.floor(hour / 24)) .. string.format('%02d', hour % 24) end)

local function time_text(ms)
	local day = math.floor(ms / 86400000)
	local rest = ms - day * 86400000
	local year, month, date = date_of(day)
	return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ', year, month, date, math.floor(rest / 3600000),
		math.floor(rest / 60000) % 60, math.floor(rest / 1000) % 60, rest % 1000)
end

-- Migration ----------------------------------------------------------------

local MIGRATE_DAYS, MIGRATE_NAMES = 3700, 400

-- Version 1 has names of a day without estimates. Each was counted from its first query on, but for what was under "*other" already: that
-- may be any name's. Newest day first; `migrated` says how far it is: days gone by, names of the day.
local function migrate_names(day, from)
	local key = prefix .. 'top:' .. day_text(day)
	local ttl = redis.pcall('PTTL', key)
	if is_error(ttl) or ttl == -2 then return nil, true end
	local names = redis.pcall('ZRANGE', key, from, from + MIGRATE_NAMES - 1, 'WITHSCORES')
	if is_error(names) then return nil end -- not ours
	for k = 1, #names, 2 do
		local taken
		if names[k] == OTHER then
			taken = write_first('HSET', key .. ':error', 'missed', names[k + 1])
		else
			taken = write_first('ZADD', key .. ':estimate', names[k + 1], names[k])
		end
		if is_error(taken) then return taken end
	end
	if #names == 2 * MIGRATE_NAMES then return from + MIGRATE_NAMES end
	if ttl > 0 then
		redis.pcall('PEXPIRE', key .. ':estimate', ttl)
		redis.pcall('PEXPIRE', key .. ':error', ttl)
	end
	return nil
end

-- One step; true while there is more, or an error.
local function migrate()
	if not schema_found or schema_found >= SCHEMA then return false end
	local newest = math.floor(redis_ms / 86400000) + 1
	local day, from = string.match(lease[6] or '', '^(%d+) (%d+)$')
	day, from = tonumber(day) or newest, tonumber(from) or 0
	local absent
	for _ = 1, 200 do -- days without the key are quick
		from, absent = migrate_names(day, from)
		if is_error(from) then return from end
		if not from then day, from = day - 1, 0 end
		if not absent or day < newest - MIGRATE_DAYS then break end
	end
	local done = day < newest - MIGRATE_DAYS
	local written = write_first('HSET', meta, 'schema', done and SCHEMA or schema_found, 'migrated', day .. ' ' .. from)
	if is_error(written) then return written end
	if done then redis.pcall('HDEL', meta, 'migrated') end
	return not done
end

if #ARGV < FIRST then
	local taken = take_lease()
	if is_error(taken) then return taken end
	local more = lease_ms > 0 and migrate()
	if is_error(more) then return more end
	return answer('lease', more and 1 or 0, 0, '')
end
if schema_found and schema_found < SCHEMA then return redis.error_reply('TRYAGAIN the data are migrated first') end

-- Checking -----------------------------------------------------------------

local numbers, digits_count = {}, 0 -- every argument that has to be digits, looked at in one go
local positions = {} -- where items begin
local DIGITS = { n = 15, i = 7, C = 7 }

local function compile(form)
	local kinds = {}
	for k = 1, #form do kinds[k] = DIGITS[string.sub(form, k, k)] or 0 end
	return { kinds = kinds, counters = string.sub(form, -1) == 'C' }
end
for kind, form in pairs(ITEMS) do ITEMS[kind] = compile(form) end

-- The place behind the values that begin at `at`, nil when they are not as `form` says.
local function check(form, at)
	local value
	for _, most in ipairs(form.kinds) do
		value = ARGV[at]
		if not value then return nil end
		if most > 0 then
			if value == '' or #value > most then return nil end
			digits_count = digits_count + 1
			numbers[digits_count] = value
		end
		at = at + 1
	end
	if not form.counters then return at end
	for _ = 1, tonumber(value) or 0 do
		local count = ARGV[at + 1]
		if not count or count == '' or #count > 15 then return nil end
		digits_count = digits_count + 1
		numbers[digits_count] = count
		at = at + 2
	end
	return at
end

local function all_digits()
	return not string.find(table.concat(numbers, ' '), '[^0-9 ]')
end

local function first_invalid(at)
	while ARGV[at] do
		local form = ITEMS[ARGV[at]]
		positions[#positions + 1] = at
		local behind = form and check(form, at + 1)
		if not behind then return at end
		at = behind
	end
	return not all_digits() and at or nil
end

local first_item = check(compile(HEADER), FIRST)
if not first_item or not all_digits() then
	return redis.error_reply('TEREDOWN the header of the batch is invalid')
end
local invalid = first_invalid(first_item)

local boot, number, _, version, started, now, retention, pair_retention = unpack(ARGV, FIRST, FIRST + 7)
local number_text, now_text = number, now
number, now, retention, pair_retention = tonumber(number), tonumber(now), tonumber(retention), tonumber(pair_retention)
local bound = {}
for k, name in ipairs({ 'clients', 'client_names', 'names', 'name_clients', 'name_addresses', 'addresses', 'pairs', 'hour_names', 'top', 'stream' }) do
	bound[name] = tonumber(ARGV[FIRST + 7 + k])
end
bound.rules = math.min(1000, bound.top) -- of a zone

-- Once ---------------------------------------------------------------------

-- Whose answer was lost is told again what it did not hear.
local function told_before()
	local text, mine = redis.pcall('HGET', meta, 'returned'), boot .. ' ' .. number_text .. ' '
	if type(text) ~= 'string' or string.sub(text, 1, #mine) ~= mine then return {} end
	local found, words = pcall(cjson.decode, string.sub(text, #mine + 1))
	return found and type(words) == 'table' and words or {}
end

local last = redis.pcall('HGET', KEYS[1], boot)
if is_error(last) then return last end
if last and tonumber(last) and tonumber(last) >= number then
	take_lease()
	return answer('duplicate', number, 0, '', told_before())
end
-- The marker stands for `meta` and `applied` together: where one of them was deleted or evicted, nobody knows any more what was applied.
local first_ever = not last and redis.pcall('EXISTS', KEYS[1]) == 0
if pressure > 0 or number % 8 == 1 then measure_memory() end
local advanced = write_first('HSET', KEYS[1], boot, number_text)
if is_error(advanced) then return advanced end

local failed, first_error = 0, ''

-- nil when the command failed, which is reported and does not stop the rest.
local function call(...)
	local reply = redis.pcall(...)
	if is_error(reply) then
		failed = failed + 1
		if first_error == '' then first_error = reply.err end
		return nil
	end
	return reply
end

-- Bounds and retention -----------------------------------------------------

local dropped, gone = {}, {}
local function drop(family)
	dropped[family] = (dropped[family] or 0) + 1
end
local function note_gone(family)
	gone[family] = (gone[family] or 0) + 1
end

-- Expiry is computed from the data, so a batch that is replayed late prolongs nothing. It is rounded up to the hour, and set (at the end, once)
-- only where a key was created or an hour has passed: most keys are written far more often than that.
local expiry = {}
local function expire(key, at)
	at = math.ceil(at / 3600) * 3600
	if at > (expiry[key] or 0) then expiry[key] = at end
end

-- Sums are added up here and written at the end: one command a key instead of one an item.
local zsets = {}
local function add_score(key, member, count, most, family)
	local zset = zsets[key]
	if not zset then
		zset = { members = {}, sums = {}, most = most, family = family }
		zsets[key] = zset
	end
	local sum = zset.sums[member]
	if not sum then
		zset.members[#zset.members + 1] = member
		sum = 0
	end
	zset.sums[member] = sum + count
	return zset
end

-- An index says which members of a family exist and when they were last seen. Members unseen for `idle` ms make room for others.
local function new_index(name, retain, idle, removals)
	return { key = prefix .. name, name = name, bound = bound[name], retain = retain, idle = idle, seen = {}, removals = removals }
end
local clients = new_index('clients', pair_retention, 7200000, FOLDS)
local names = new_index('names', retention, 600000, REMOVALS)
local addresses = new_index('addresses', pair_retention, 600000, REMOVALS)

-- What "*other" takes over from clients that are folded into it.
local folded, names_left = { counters = {} }, 200
local ZSETS = { queries = true, watched = true, blocked = true }
local CLIENT_FIELDS = { name = true, forwarder = true } -- words, and no counters
local TOLD_FIELDS = { told_teredo = true, told_teredo_last = true, told_teredo_server = true } -- nor are these, and they are nobody else's

-- A client's counters, totals and names become a part of "*other", exactly; what stands under an hour, an address or a name remains.
-- False when it is not to go yet: only one that has asked little makes room within its idle time.
local function fold_client(client, idle)
	local key = prefix .. 'client:' .. client
	local fields = call('HGETALL', key) or {}
	local counters, size = {}, call('ZCARD', key .. ':names') or 0
	for k = 1, #fields, 2 do
		if not CLIENT_FIELDS[fields[k]] and not TOLD_FIELDS[fields[k]] then counters[fields[k]] = tonumber(fields[k + 1]) end
	end
	if not fields[1] then -- it has expired, its places in the rankings do not
		for counter in pairs(ZSETS) do counters[counter] = tonumber(call('ZSCORE', prefix .. 'clients:' .. counter, client) or nil) end
		counters.first_seen = tonumber(call('ZSCORE', prefix .. 'clients', client) or nil)
		counters.last_seen = counters.first_seen
	end
	if not idle and (counters.queries or 0) > 3 or size > names_left and names_left < 200 then return false end
	names_left = names_left - size
	local first, last_ms = counters.first_seen, counters.last_seen
	counters.first_seen, counters.last_seen = nil, nil
	for counter, value in pairs(counters) do
		folded.counters[counter] = (folded.counters[counter] or 0) + value
		if ZSETS[counter] then
			add_score(prefix .. 'clients:' .. counter, OTHER, value)
			call('ZREM', prefix .. 'clients:' .. counter, client)
		end
	end
	folded.first = math.min(folded.first or first or now, first or now)
	folded.last = math.max(folded.last or last_ms or 0, last_ms or 0)
	local scores = size > 0 and call('ZRANGE', key .. ':names', 0, -1, 'WITHSCORES') or {}
	local sum = 0
	for k = 2, #scores, 2 do sum = sum + tonumber(scores[k]) end
	if sum > 0 then add_score(prefix .. 'client:' .. OTHER .. ':names', OTHER, sum, bound.client_names, 'client_names').at = (folded.last or now) / 1000 + retention end
	call('UNLINK', key, key .. ':names')
	call('ZREM', prefix .. 'clients', client)
	return true
end

-- One that was seen longest ago and not in this batch, or nil.
local function next_candidate(index)
	if not index.oldest then
		index.oldest = call('ZRANGE', index.key, 0, 15, 'WITHSCORES') or {}
		index.next = 1
	end
	while index.oldest[index.next] do
		local member, score = index.oldest[index.next], tonumber(index.oldest[index.next + 1])
		index.next = index.next + 2
		if member ~= OTHER and not index.seen[member] then return member, now - score end
	end
end

-- True when a member has gone from a full index.
local function make_room(index)
	while index.removals > 0 do
		local member, unseen = next_candidate(index)
		if not member or unseen < 60000 then
			index.removals = 0
		elseif index == clients then
			if fold_client(member, unseen >= index.idle) then
				index.removals = index.removals - 1
				note_gone('folded_clients')
				return true
			end
		elseif unseen >= index.idle then
			remove_member(index.name, member)
			index.removals = index.removals - 1
			note_gone('removed_' .. index.name)
			return true
		else
			index.removals = 0
		end
	end
	return false
end

local function may_enter(index)
	index.card = index.card or call('ZCARD', index.key) or 0
	if index.card < index.bound and pressure < (index == clients and 2 or 1) then
		index.card = index.card + 1
		return true
	end
	return make_room(index)
end

local function look_up(index, member)
	local score = call('ZSCORE', index.key, member)
	local entry = { as = member, last = tonumber(score or -1), stored = tonumber(score or -1) }
	if not score and member ~= OTHER and not may_enter(index) then
		entry.as = OTHER
		drop(index.name)
	end
	index.seen[member] = entry
	return entry
end

local function hour_of(ms)
	return math.floor(ms / 3600000)
end

-- The member, or *other when the family is full, and its entry.
local function admit(index, member, ms)
	local entry = index.seen[member] or look_up(index, member)
	if entry.as ~= member then return admit(index, OTHER, ms) end
	if ms > entry.last then
		entry.last = ms
		entry.moved = hour_of(ms) ~= hour_of(entry.stored)
	end
	return member, entry
end

-- For a key that lives as long as a member of an index.
local function expire_with(key, entry, retain, created)
	if created or entry.moved then expire(key, entry.last / 1000 + retain) end
end

local function store_index(index)
	local pairs_of = {}
	for member, entry in pairs(index.seen) do
		if entry.as == member and entry.last > entry.stored then
			pairs_of[#pairs_of + 1] = string.format('%.0f', entry.last)
			pairs_of[#pairs_of + 1] = member
		end
	end
	for at = 1, #pairs_of, 200 do
		call('ZADD', index.key, unpack(pairs_of, at, math.min(at + 199, #pairs_of)))
	end
end

-- The scores of members, false where there is none. ZMSCORE is of Redis 6.2.
local function scores_of(key, members)
	local scores = {}
	for from = 1, #members, 100 do
		local part = #members > 1 and redis.pcall('ZMSCORE', key, unpack(members, from, math.min(from + 99, #members))) or {}
		for k = from, math.min(from + 99, #members) do
			local score = part[k - from + 1]
			if #members == 1 or is_error(part) then score = call('ZSCORE', key, members[k]) end
			scores[k] = tonumber(score or nil) or false
		end
	end
	return scores
end

-- Writes what was added up for a key. New members beyond its bound are counted under "*other", and under pressure all of them but clients of an
-- hour: who is known at all is counted to the last, and an old hour gives up its clients instead (trim_hour).
local function store_zset(key, zset)
	local members, sums, words = zset.members, zset.sums, {}
	local scores, size, fresh, turned_away = scores_of(key, members), nil, 0, 0
	for k, member in ipairs(members) do
		local old = scores[k]
		if not old and member ~= OTHER then size = size or call('ZCARD', key) or 0 end
		if not old and member ~= OTHER and zset.most and (pressure > 0 and zset.family ~= 'hour_clients' or size + fresh >= zset.most) then
			turned_away = turned_away + sums[member]
			drop(zset.family)
		else
			if not old then fresh = fresh + 1 end
			words[#words + 1] = string.format('%.0f', (old or 0) + sums[member])
			words[#words + 1] = member
		end
	end
	for from = 1, #words, 200 do call('ZADD', key, unpack(words, from, math.min(from + 199, #words))) end
	if turned_away > 0 and size == 0 and pressure > 0 and zset.family == 'client_names' then return end -- no key for that alone
	if turned_away > 0 then
		call('ZINCRBY', key, string.format('%.0f', turned_away), OTHER)
		fresh = fresh + 1
	end
	if zset.at and (zset.moved or fresh > 0 and (size or 0) == 0) then expire(key, zset.at) end
end

-- The newest time of a member; only a clock that stepped back between batches can lower it, until the next one.
local last_told = {}
local function raise(key, member, ms)
	local known = last_told[key]
	if not known then
		known = { ms = {} }
		last_told[key] = known
	end
	if ms > (known.ms[member] or -1) then known.ms[member] = ms end
	return known
end

-- Addresses of a name: a new key needs an expiry, a full one loses its oldest.
local function store_times(key, known)
	local words = {}
	for member, ms in pairs(known.ms) do
		words[#words + 1] = string.format('%.0f', ms)
		words[#words + 1] = member
	end
	local added = 0
	for from = 1, #words, 200 do added = added + (call('ZADD', key, unpack(words, from, math.min(from + 199, #words))) or 0) end
	if known.moved then expire(key, known.at) end
	if added == 0 then return end
	local size = call('ZCARD', key) or 0
	if size == added then expire(key, known.at) end
	if size > bound.name_addresses then
		call('ZREMRANGEBYRANK', key, 0, -bound.name_addresses - 1)
		drop('name_addresses')
	end
end

-- When all other detail is gone: the oldest hour loses its rows of clients; its totals stay.
local TRIM_HOURS = 1500 -- looked for no further back, because each is a command
local function trim_hour()
	local newest = hour_of(now)
	for hour = newest - math.min(math.ceil(retention / 3600), TRIM_HOURS), newest - 24 do
		local key = prefix .. 'hour:' .. hour_text(math.max(hour, 0))
		if (call('UNLINK', key .. ':queries', key .. ':watched', key .. ':blocked', key .. ':watched-names', key .. ':drops') or 0) > 0 then return 1 end
	end
	return 0
end

local function hour_expiry(hour)
	return (hour + 1) * 3600 + retention
end

-- Items ---------------------------------------------------------------------

-- Adds the N counters at `at` to fields of a hash; times, if any, widen first_seen and last_seen. True when all fields are new, as in a key
-- just created.
local function add_counters(key, at, first, last_ms)
	local count = tonumber(ARGV[at])
	local fields, set = {}, {}
	for k = 1, count do fields[k] = ARGV[at + 2 * k - 1] end
	if first then
		fields[count + 1] = 'first_seen'
		fields[count + 2] = 'last_seen'
	end
	if #fields == 0 then return end
	local old = call('HMGET', key, unpack(fields))
	if not old then return end
	for k = 1, count do
		set[2 * k - 1] = fields[k]
		set[2 * k] = string.format('%.0f', (tonumber(old[k] or 0) or 0) + tonumber(ARGV[at + 2 * k]))
	end
	if first then
		local old_first, old_last = tonumber(old[count + 1] or nil), tonumber(old[count + 2] or nil)
		set[2 * count + 1] = 'first_seen'
		set[2 * count + 2] = string.format('%.0f', old_first and math.min(old_first, first) or first)
		set[2 * count + 3] = 'last_seen'
		set[2 * count + 4] = string.format('%.0f', old_last and math.max(old_last, last_ms) or last_ms)
	end
	return call('HSET', key, unpack(set)) == #set / 2
end

local queries = 0
local apply = {}

function apply.c(at)
	local hour, first, last_ms = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
	local client, seen = admit(clients, ARGV[at], last_ms)
	local key = prefix .. 'client:' .. client
	local created = add_counters(key, at + 4, first, last_ms)
	expire_with(key, seen, pair_retention, created)
	local hourly = prefix .. 'hour:' .. hour_text(hour) .. ':'
	for k = at + 5, at + 3 + 2 * tonumber(ARGV[at + 4]), 2 do
		local counter, value = ARGV[k], tonumber(ARGV[k + 1])
		if ZSETS[counter] then
			add_score(prefix .. 'clients:' .. counter, client, value)
			add_score(hourly .. counter, client, value, bound.clients, 'hour_clients').at = hour_expiry(hour)
		end
		if counter == 'queries' then queries = queries + value end
	end
end

-- A client that made room, or never had any, is not made for this.
function apply.m(at)
	local key = prefix .. 'client:' .. ARGV[at]
	if not CLIENT_FIELDS[ARGV[at + 1]] or call('EXISTS', key) ~= 1 then return end
	if ARGV[at + 2] == '' then
		call('HDEL', key, ARGV[at + 1])
	else
		call('HSET', key, ARGV[at + 1], ARGV[at + 2])
	end
end

-- First and last time only ever move apart, so what is written twice or late changes nothing. What was folded into *other is nobody's.
function apply.s(at)
	local first, last_ms = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
	local client, seen = admit(clients, ARGV[at], last_ms)
	if client == OTHER then return end
	local key = prefix .. 'client:' .. client
	local old = call('HMGET', key, 'told_teredo', 'told_teredo_last') or {}
	local old_first, old_last = tonumber(old[1] or nil), tonumber(old[2] or nil)
	local set = { 'told_teredo', string.format('%.0f', math.min(first, old_first or first)) }
	if last_ms >= (old_last or 0) then
		for _, word in ipairs({ 'told_teredo_last', string.format('%.0f', last_ms), 'told_teredo_server', ARGV[at + 3] }) do set[#set + 1] = word end
	end
	expire_with(key, seen, pair_retention, call('HSET', key, unpack(set)) == #set / 2)
end

-- Under names that begin so, whatever the daemon calls them. Those that an earlier boot left are no news.
function apply.g(at)
	if sender ~= '' and sender ~= boot then return end
	local words = { 'gauge_at', now_text, 'gauge_upstreams_state', ARGV[at] }
	for k = at + 2, at + 1 + 2 * tonumber(ARGV[at + 1]), 2 do
		words[#words + 1] = 'gauge_' .. ARGV[k]
		words[#words + 1] = ARGV[k + 1]
	end
	call('HSET', meta, unpack(words))
end

function apply.w(at)
	if sender ~= '' and sender ~= boot then return end
	call('HSET', meta, 'gauge_' .. ARGV[at], ARGV[at + 1])
end

function apply.h(at)
	local hour = tonumber(ARGV[at])
	local key = prefix .. 'hour:' .. hour_text(hour)
	if add_counters(key, at + 1) then expire(key, hour_expiry(hour)) end
	add_counters(prefix .. 'totals', at + 1)
end

function apply.q(at)
	local hour, count, hits, last_ms = tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
	local client, client_seen = admit(clients, ARGV[at], last_ms)
	local name, name_seen = admit(names, ARGV[at + 1], last_ms)
	local of_client = add_score(prefix .. 'client:' .. client .. ':names', ARGV[at + 1], count, bound.client_names, 'client_names')
	local of_name = add_score(prefix .. 'name:' .. name .. ':clients', client, count, bound.name_clients, 'name_clients')
	of_client.at, of_client.moved = client_seen.last / 1000 + retention, client_seen.moved
	of_name.at, of_name.moved = name_seen.last / 1000 + retention, name_seen.moved
	if hits > 0 then
		local watched = prefix .. 'hour:' .. hour_text(hour) .. ':watched-names'
		add_score(watched, client .. ' ' .. ARGV[at + 1], hits, bound.hour_names, 'hour_names').at = hour_expiry(hour)
	end
end

-- How many fields a key holds: asked once, then counted on.
local sizes = {}

function apply.p(at)
	local first, last_ms, count = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
	local address, seen = admit(addresses, ARGV[at], last_ms)
	local client = admit(clients, ARGV[at + 1], last_ms)
	local name, name_seen = admit(names, ARGV[at + 2], last_ms)
	local key, field, owner = prefix .. 'pair:' .. address, client .. ' ' .. ARGV[at + 2], ARGV[at + 6]
	local old, created = call('HGET', key, field), false
	if old == false then
		sizes[key] = sizes[key] or call('HLEN', key)
		if pressure > 0 or (sizes[key] or 0) >= bound.pairs then
			field, owner = OTHER .. ' ' .. OTHER, OTHER
			old = call('HGET', key, field)
			drop('pairs')
		else
			sizes[key] = (sizes[key] or 0) + 1
			created = sizes[key] == 1
		end
	end
	local old_first, old_last, old_count, old_owner = string.match(old or '', '^(%d+) (%d+) (%d+) (.*)$')
	if old_first then
		if tonumber(old_last) > last_ms then owner = old_owner end
		first = math.min(first, tonumber(old_first))
		last_ms = math.max(last_ms, tonumber(old_last))
		count = count + tonumber(old_count)
	end
	call('HSET', key, field, string.format('%.0f %.0f %.0f %s', first, last_ms, count, owner))
	expire_with(key, seen, pair_retention, created)

	local of_name = raise(prefix .. 'name:' .. name, address, last_ms)
	of_name.at, of_name.moved = name_seen.last / 1000 + retention, name_seen.moved
end

-- Hours of a timeline that are beyond their retention, once there are some.
local function trim_timeline(key, hour)
	local kept = math.floor(retention / 3600)
	if (call('HLEN', key) or 0) <= 6 * (kept + 24) then return end
	local oldest = hour_text(math.max(hour - kept, 0))
	for _, field in ipairs(call('HKEYS', key) or {}) do
		if string.sub(field, 1, 10) < oldest then call('HDEL', key, field) end
	end
end

function apply.t(at)
	local hour = tonumber(ARGV[at + 1])
	local address = admit(addresses, ARGV[at], hour * 3600000)
	local key = prefix .. 'timeline:' .. address
	if call('HINCRBY', key, hour_text(hour) .. ':' .. ARGV[at + 2], ARGV[at + 3]) == tonumber(ARGV[at + 3]) then
		trim_timeline(key, hour)
		expire(key, hour_expiry(hour))
	end
end

-- Streams are the first to become shorter when memory does.
local function add_line(stream, ts, json)
	if stream == 'events' then
		local kind = string.match(json, '"kind":"([a-z-]+)"')
		if kind and #kind <= 32 then call('HINCRBY', prefix .. 'totals', 'event_' .. kind, 1) end
	end
	if pressure > 1 then
		drop('lines')
		return
	end
	call('XADD', prefix .. stream, 'MAXLEN', '~', pressure > 0 and math.floor(bound.stream / 10) or bound.stream, '*', 'ts', ts, 'json', json)
end

-- The client of a full zone whose last hit is the oldest is counted under *other, unless it was lately.
local function make_room_in_zone(key, most)
	if (call('ZCARD', key .. ':last') or 0) < most then return true end
	local oldest = call('ZRANGE', key .. ':last', 0, 0, 'WITHSCORES') or {}
	if not oldest[1] or now - tonumber(oldest[2]) < clients.idle then return false end
	local hits = call('ZSCORE', key, oldest[1])
	if hits then add_score(key, OTHER, tonumber(hits)) end
	call('ZREM', key, oldest[1])
	call('ZREM', key .. ':last', oldest[1])
	note_gone('folded_zone_clients')
	return true
end

-- Who was marked as remediated (`teredown remediate --mark`) and asks again. Looked for only where a hit is the first of a client, or the first
-- for a while. Which zones count stands in the mark, because their names do not tell here which are of tunnels.
local RETURN_MS = 900000
local RETURNS_MAX = 64 -- that are told in one call
local MARK_ZONES_MAX = 16
local last_hit, returned, any_marked = {}, {}, nil

local function last_hit_of(zone, client)
	return tonumber(call('ZSCORE', prefix .. 'watch:' .. zone .. ':last', client) or nil) or 0
end

local function is_back(client, zone, last_ms)
	local found, mark = pcall(cjson.decode, call('HGET', prefix .. 'remediated', client) or '')
	if not found or type(mark) ~= 'table' or type(mark.zones) ~= 'table' or last_ms <= (tonumber(mark.at) or 0) then return false end
	local counts = false
	for k = 1, math.min(#mark.zones, MARK_ZONES_MAX) do
		counts = counts or mark.zones[k] == zone
		if last_ms - last_hit_of(tostring(mark.zones[k]), client) < RETURN_MS then return false end
	end
	return counts
end

local function look_for_return(client, zone, last_ms)
	if any_marked == nil then any_marked = call('EXISTS', prefix .. 'remediated') == 1 end
	if not any_marked or #returned >= 3 * RETURNS_MAX or not is_back(client, zone, last_ms) then return end
	-- Also where the zone has no place for it any more: it is told once.
	call('ZADD', prefix .. 'watch:' .. zone .. ':last', last_ms, client)
	for _, word in ipairs({ client, zone, string.format('%.0f', last_ms) }) do returned[#returned + 1] = word end
	local name = call('HGET', prefix .. 'client:' .. client, 'name') or ''
	add_line('events', last_ms, cjson.encode({ ts = time_text(last_ms), kind = 'remediated-back', client = client, zone = zone,
		text = client .. (name ~= '' and ' (' .. name .. ')' or '') .. ' was remediated and asks again, in zone ' .. zone }))
end

function apply.z(at)
	local last_ms = tonumber(ARGV[at + 3])
	local client = admit(clients, ARGV[at + 1], last_ms)
	local key = prefix .. 'watch:' .. ARGV[at]
	local known = last_hit[key] and last_hit[key][client]
	local before = known or client ~= OTHER and call('ZSCORE', key .. ':last', client)
	local is_new = client ~= OTHER and not before
	if not known and last_ms - (tonumber(before or nil) or 0) >= RETURN_MS then look_for_return(ARGV[at + 1], ARGV[at], last_ms) end
	if is_new and (pressure > 0 or not make_room_in_zone(key, bound.clients)) then
		client, is_new = OTHER, false
		drop('zone_clients')
	end
	add_score(key, client, tonumber(ARGV[at + 2]))
	last_hit[key] = last_hit[key] or {}
	if last_ms > (last_hit[key][client] or -1) then
		call('ZADD', key .. ':last', last_ms, client)
		last_hit[key][client] = last_ms
	end
	expire(key, last_ms / 1000 + pair_retention)
	expire(key .. ':last', last_ms / 1000 + pair_retention)
	if is_new then
		add_line('events', last_ms, cjson.encode({ ts = time_text(last_ms), kind = 'new-client', text = client .. ' in zone ' .. ARGV[at] }))
	end
end

-- Heavy hitters: a Space-Saving sketch. A key (`top:<day>`, `rules:<zone>`) holds what was counted for certain, so its sum with *other is exact;
-- `:estimate` that and what the name may have lost before it had a place. Beside them, `:error` says what any name may have lost besides: `missed`
-- in the daemon (of every name), `evicted` here, the largest estimate that had to go (of a newcomer: it is in its estimate already).
local sketches = {}
local function sketch_of(key, family)
	local sketch = sketches[key]
	if sketch then return sketch end
	local evicted = call('HGET', key .. ':error', 'evicted')
	sketch = { key = key, size = call('ZCARD', key .. ':estimate') or 0, evicted = tonumber(evicted or nil) or 0, other = 0, missed = 0, at = 0,
		family = family, most = bound[family] }
	sketch.before = sketch.evicted
	sketch.created = sketch.size == 0
	sketches[key] = sketch
	return sketch
end

local function evict_name(sketch)
	local least = call('ZPOPMIN', sketch.key .. ':estimate')
	if not least or not least[1] then return end
	sketch.evicted = math.max(sketch.evicted, tonumber(least[2]))
	sketch.other = sketch.other + tonumber(call('ZSCORE', sketch.key, least[1]) or 0)
	call('ZREM', sketch.key, least[1])
	sketch.size = sketch.size - 1
	drop(sketch.family)
end

local function add_heavy(sketch, name, count, weight)
	if name == OTHER then
		sketch.other, sketch.missed = sketch.other + count, sketch.missed + weight
		return
	end
	local known = call('ZSCORE', sketch.key .. ':estimate', name)
	if not known then
		if sketch.size >= sketch.most or pressure > 0 then evict_name(sketch) end
		if sketch.size >= sketch.most then evict_name(sketch) end -- the bound was lowered: two go for each that comes
		if pressure > 0 and sketch.size == 0 then
			sketch.other, sketch.missed = sketch.other + count, sketch.missed + weight
			return
		end
		weight = weight + sketch.evicted
		sketch.size = sketch.size + 1
	end
	call('ZINCRBY', sketch.key .. ':estimate', string.format('%.0f', weight), name)
	call('ZINCRBY', sketch.key, count, name)
end

local function add_top(day, name, count, weight)
	local sketch = sketch_of(prefix .. 'top:' .. day_text(day), 'top')
	sketch.at = (day + 1) * 86400 + retention
	add_heavy(sketch, name, count, weight)
end

function apply.n(at)
	add_top(tonumber(ARGV[at]), ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3]))
end

-- As version 1 had it: without an error.
function apply.d(at)
	local name, count = ARGV[at + 1], tonumber(ARGV[at + 2])
	add_top(tonumber(ARGV[at]), name, count, name == OTHER and 0 or count)
end

-- The rules of a zone live as long as its clients: from the last hit of any.
function apply.r(at)
	local hits = tonumber(ARGV[at + 2])
	local sketch = sketch_of(prefix .. 'rules:' .. ARGV[at], 'rules')
	sketch.at = math.max(sketch.at, tonumber(ARGV[at + 3]) / 1000 + pair_retention)
	sketch.prolonged = true
	add_heavy(sketch, ARGV[at + 1], hits, hits)
end

local function store_sketch(sketch)
	if sketch.other > 0 then call('ZINCRBY', sketch.key, string.format('%.0f', sketch.other), OTHER) end
	if sketch.missed > 0 then call('HINCRBY', sketch.key .. ':error', 'missed', string.format('%.0f', sketch.missed)) end
	if sketch.evicted > sketch.before then call('HSET', sketch.key .. ':error', 'evicted', string.format('%.0f', sketch.evicted)) end
	if sketch.created or sketch.prolonged or sketch.other > 0 then expire(sketch.key, sketch.at) end
	if sketch.created or sketch.prolonged then expire(sketch.key .. ':estimate', sketch.at) end
	if sketch.missed > 0 or sketch.evicted > sketch.before or sketch.prolonged then expire(sketch.key .. ':error', sketch.at) end
end

function apply.x(at)
	add_line('transactions', ARGV[at], ARGV[at + 1])
end

function apply.e(at)
	add_line('events', ARGV[at], ARGV[at + 1])
end

local function close_hour(hour)
	local totals = call('HGETALL', prefix .. 'hour:' .. hour_text(hour))
	if not totals or #totals == 0 then return end
	local entry = { 'hour', hour_text(hour), 'ts', string.format('%.0f', hour * 3600000), unpack(totals) }
	local key, ms = prefix .. 'hours', string.format('%.0f', hour * 3600000)
	-- The hour as the entry's id lets XRANGE read by time; where a clock stepped back, ids can only go on.
	if is_error(redis.pcall('XADD', key, 'MAXLEN', '~', bound.stream, ms .. '-0', unpack(entry))) then
		call('XADD', key, 'MAXLEN', '~', bound.stream, '*', unpack(entry))
	end
end

-- Hours since the last one closed, two days at most; a clock that was far ahead does not stop this for ever.
function apply.k(at)
	local upto = tonumber(ARGV[at])
	local closed = tonumber(call('HGET', meta, 'closed_hour') or nil)
	if closed and closed == upto then return end
	if closed and closed < upto then
		for hour = math.max(closed + 1, upto - 47), upto do close_hour(hour) end
	end
	if not closed or closed < upto or closed > upto + 48 then
		call('HSET', meta, 'closed_hour', upto)
	end
end

-- Housekeeping ----------------------------------------------------------------

-- A few members that were last seen before their retention ended; other keys of theirs have expired.
local function purge(index, most)
	local before = string.format('(%.0f', now - index.retain * 1000)
	for _, member in ipairs(call('ZRANGEBYSCORE', index.key, '-inf', before, 'LIMIT', 0, most) or {}) do
		if index ~= clients then
			call('ZREM', index.key, member)
		elseif member ~= OTHER and not index.seen[member] then
			fold_client(member, true)
		end
	end
end

-- What was folded into *other in this call.
local function store_folded()
	if not next(folded.counters) then return end
	local key = prefix .. 'client:' .. OTHER
	for counter, value in pairs(folded.counters) do call('HINCRBY', key, counter, string.format('%.0f', value)) end
	local old = call('HMGET', key, 'first_seen', 'last_seen') or {}
	local last_ms = math.max(folded.last, tonumber(old[2] or nil) or 0)
	call('HSET', key, 'first_seen', string.format('%.0f', math.min(folded.first, tonumber(old[1] or nil) or folded.first)),
		'last_seen', string.format('%.0f', last_ms))
	expire(key, math.max(last_ms, now) / 1000 + pair_retention) -- what is folded for its age is older than that already
end

-- `applied` keeps the boots of last resort: the newest 64, by Redis's clock and never by a resolver's, which may start in 1970.
local function register_boot()
	local newest = call('ZREVRANGE', prefix .. 'boots', 0, 0, 'WITHSCORES') or {}
	call('ZADD', prefix .. 'boots', string.format('%.0f', math.max(redis_ms, (tonumber(newest[2]) or 0) + 1)), boot)
	local surplus = (call('ZCARD', prefix .. 'boots') or 0) - 64
	if surplus <= 0 then return end
	for _, old in ipairs(call('ZRANGE', prefix .. 'boots', 0, surplus - 1) or {}) do
		call('ZREM', prefix .. 'boots', old)
		if old ~= boot then call('HDEL', KEYS[1], old) end
	end
end

local function store_meta()
	call('HSET', meta, 'schema', SCHEMA)
	if memory then call('HSET', meta, unpack(memory)) end
	if sender == '' or sender == boot then -- not a batch that an earlier boot left
		call('HSET', meta, 'version', version, 'boot', boot, 'started', started, 'last_batch', number_text, 'last_batch_at', now_text)
	end
	call('HSETNX', meta, 'recording_since', now_text)
	call(first_ever and 'HSET' or 'HSETNX', meta, 'store', string.sub(redis.sha1hex(boot .. number_text .. clock[1] .. '.' .. clock[2]), 1, 16))
	local taken = take_lease()
	if is_error(taken) then
		failed = failed + 1
		if first_error == '' then first_error = taken.err end
	end
	if returned[1] then call('HSET', meta, 'returned', boot .. ' ' .. number_text .. ' ' .. cjson.encode(returned)) end
	if queries > 0 then call('HINCRBY', meta, 'queries', string.format('%.0f', queries)) end
	for family, count in pairs(dropped) do call('HINCRBY', meta, 'dropped_' .. family, count) end
	for what, count in pairs(gone) do call('HINCRBY', meta, what, count) end
end

-- The batch -------------------------------------------------------------------

if not last then register_boot() end
if not invalid then
	for _, at in ipairs(positions) do apply[ARGV[at]](at + 1) end
	purge(clients, 2)
	purge(names, 16)
	purge(addresses, 16)
	if pressure > 0 then gone.trimmed = trim(pressure > 1 and 16 or 4) end
	if pressure > 1 then -- also without anyone who comes for the place
		gone.trimmed = gone.trimmed + trim_client_names(8, 1)
		if gone.trimmed == 0 then gone.trimmed_hours = trim_hour() end
		clients.removals = clients.removals + 2
		while make_room(clients) do end
	end
	for _, index in ipairs({ clients, names, addresses }) do store_index(index) end
	for key, zset in pairs(zsets) do store_zset(key, zset) end
	for key, known in pairs(last_told) do store_times(key, known) end
	for _, sketch in pairs(sketches) do store_sketch(sketch) end
	store_folded()
	for key, when in pairs(expiry) do call('EXPIREAT', key, when) end
end
store_meta()
if invalid then return answer('invalid', number, 1, 'argument ' .. invalid) end
return answer('applied', number, failed, first_error, returned)
