-- SPDX-License-Identifier: BSD-3-Clause
-- Writes what a chunk of a log says, and how far the log has been read, in one call: so a chunk counts once, whatever happens to
-- the command that read it, or to its connection. Redis runs a script alone and to the end, but does not roll back: so everything is checked
-- before the first write, the position is the first write (if that one is refused nothing happened), and no later command stops the rest.
--
-- What the daemon counts is not touched. New members may enter the index of addresses, within bounds; none leaves it here.
--
-- KEYS[1]  teredown:{R}:ingest
-- ARGV     schema, source, former id of the source ('': none), offset that is expected there ('': the source is unknown), the new offset,
--          the new position (JSON), now (Unix ms), retention, pair retention (s), bounds: addresses, drops, history, eventlog, sources;
--          the source that was read longest ago; then items:
--   t address hour source count last                 timeline; instead of an address a name, with its final dot
--   d hour client address kind count                 drops of an hour
--   h address client name first last count verdict   what logs of DNS servers say of pairs
--   e client at json                                 what an event log says of a computer
-- Hours are counted from 1970, times are Unix ms.
--
-- Returns { "applied" | "repeated" | "refused", offset found (-1: none), failed commands, first error, details that a bound turned away }.
-- "repeated": the source is at the new offset already. "refused": it is at neither; nothing was written.

local OTHER = '*other'
local SCHEMA = 2
-- s text, n number, i hour, and a word of one of the sets below
local ITEMS = { t = 'sitnn', d = 'isskn', h = 'sssnnnv', e = 'sns' }
local HEADER = 'nsssnsnnnnnnnns'
local WORDS = {
	t = { ['firewall-drop'] = true, ['firewall-pass'] = true, proxy = true, eventlog = true },
	k = { udp3544 = true, proto41 = true, ['-'] = true },
	v = { certain = true, ambiguous = true },
}
local DIGITS = { n = 15, i = 7 }

local prefix = string.sub(KEYS[1], 1, -#'ingest' - 1)
local meta = prefix .. 'meta'

local function is_error(reply)
	return type(reply) == 'table' and reply.err ~= nil
end

-- In a cluster, a slot on the move has some of its keys on another node; a key that never exists tells, see script.lua.
local probe = redis.pcall('EXISTS', prefix .. 'none')
if is_error(probe) then return redis.error_reply('TRYAGAIN nothing was written: ' .. probe.err) end

local known = redis.pcall('HMGET', meta, 'schema', 'pressure')
if is_error(known) then known = {} end
local schema_found = tonumber(known[1] or nil) or SCHEMA
if schema_found > SCHEMA then
	return redis.error_reply('NEWER it holds data of schema version ' .. schema_found .. '; this program writes ' .. SCHEMA)
end
if schema_found < SCHEMA then return redis.error_reply('TRYAGAIN the data are migrated first') end
local pressure = tonumber(known[2] or nil) or 0

-- Checking -----------------------------------------------------------------

local numbers = {} -- every argument that has to be digits, looked at in one go
local positions = {} -- where items begin

local function compile(form)
	local parts = {}
	for k = 1, #form do
		local kind = string.sub(form, k, k)
		parts[k] = { most = DIGITS[kind], words = WORDS[kind] }
	end
	return parts
end
for kind, form in pairs(ITEMS) do ITEMS[kind] = compile(form) end

-- The place behind the values that begin at `at`, nil when they are not as `form` says.
local function check(form, at)
	for _, part in ipairs(form) do
		local value = ARGV[at]
		if not value then return nil end
		if part.most then
			if value == '' or #value > part.most then return nil end
			numbers[#numbers + 1] = value
		elseif part.words and not part.words[value] then
			return nil
		end
		at = at + 1
	end
	return at
end

local first_item = check(compile(HEADER), 1)
local at = first_item
while at and ARGV[at] do
	local form = ITEMS[ARGV[at]]
	positions[#positions + 1] = at
	local behind = form and check(form, at + 1)
	if not behind then return redis.error_reply('TEREDOWN argument ' .. at .. ' of the chunk is invalid') end
	at = behind
end
local expected = ARGV[4] or ''
if not first_item or string.find(table.concat(numbers, ' '), '[^0-9 ]') or #expected > 15 or string.find(expected, '[^0-9]') then
	return redis.error_reply('TEREDOWN the chunk is invalid')
end
local source, former, offset_text, position = ARGV[2], ARGV[3], ARGV[5], ARGV[6]
local now, retention, pair_retention = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local bound = { addresses = tonumber(ARGV[10]), drops = tonumber(ARGV[11]), history = tonumber(ARGV[12]),
	eventlog = tonumber(ARGV[13]), sources = tonumber(ARGV[14]) }

-- Once ---------------------------------------------------------------------

local function decode(text)
	local ok, value = pcall(cjson.decode, text or '')
	return ok and type(value) == 'table' and value or {}
end

local function offset_of(id)
	local text = redis.pcall('HGET', KEYS[1], id)
	if is_error(text) then return nil, text end
	if not text then return -1 end
	return tonumber(decode(text).offset) or -1
end

local found, fault = offset_of(source)
if fault then return fault end
if found == tonumber(offset_text) and expected ~= offset_text then return { 'repeated', found, 0, '', 0 } end
if found < 0 and former ~= '' then
	found, fault = offset_of(former)
	if fault then return fault end
end
if found ~= (tonumber(expected) or -1) then return { 'refused', found, 0, '', 0 } end

local size = redis.pcall('HLEN', KEYS[1])
local advanced = redis.pcall('HSET', KEYS[1], source, position)
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

if former ~= '' and former ~= source then call('HDEL', KEYS[1], former) end

-- A source makes room for a new one: what the command knew to be read longest ago, if it is still there.
local function drop_oldest_source()
	if ARGV[15] ~= source and call('HDEL', KEYS[1], ARGV[15]) == 1 then return end
	local all, oldest, oldest_at = call('HGETALL', KEYS[1]) or {}, nil, nil
	for k = 1, #all, 2 do
		local read_at = tonumber(string.match(all[k + 1], '"at":(%d+)') or nil) or 0
		if all[k] ~= source and (not oldest_at or read_at < oldest_at) then oldest, oldest_at = all[k], read_at end
	end
	if oldest then call('HDEL', KEYS[1], oldest) end
end
if advanced == 1 and former == '' and not is_error(size) and size >= bound.sources then drop_oldest_source() end

-- Bounds and retention -----------------------------------------------------

local dropped, dropped_all = {}, 0
local function drop(family)
	dropped[family] = (dropped[family] or 0) + 1
	dropped_all = dropped_all + 1
end

-- Expiry is computed from the data and only ever raised: a log of last week is read after today's.
local expiry = {}
local function expire(key, when)
	when = math.ceil(when / 3600) * 3600
	if when > (expiry[key] or 0) then expiry[key] = when end
end

local function raise_expiry(key, when)
	local left = call('PTTL', key)
	if left and (left < 0 or now + left < when * 1000) then call('EXPIREAT', key, when) end
end

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

local hour_texts = {}
local function hour_text(hour)
	local text = hour_texts[hour]
	if not text then
		text = string.format('%04d%02d%02d', date_of(math.floor(hour / 24))) .. string.format('%02d', hour % 24)
		hour_texts[hour] = text
	end
	return text
end

local function hour_expiry(hour)
	return (hour + 1) * 3600 + retention
end

-- The scores of members, false where there is none. ZMSCORE is of Redis 6.2.
local function scores_of(key, members)
	local scores = {}
	for from = 1, #members, 100 do
		local to = math.min(from + 99, #members)
		local part = redis.pcall('ZMSCORE', key, unpack(members, from, to))
		for k = from, to do
			local score
			if is_error(part) then score = call('ZSCORE', key, members[k]) else score = part[k - from + 1] end
			scores[k] = tonumber(score or nil) or false
		end
	end
	return scores
end

local function add_members(key, words)
	for from = 1, #words, 200 do call('ZADD', key, unpack(words, from, math.min(from + 199, #words))) end
end

-- Addresses ----------------------------------------------------------------

-- Logs of firewalls name addresses without end. So that they cannot crowd out what clients were told, what nobody looked up enters only while the
-- index is half full, and what was only passed on while a quarter is. Where there are pairs the score stays the daemon's: it prolongs them when
-- the hour of the score changes.
local addresses = { key = prefix .. 'addresses', order = {}, entries = {} }

local function see(address, last, weight)
	local entry = addresses.entries[address]
	if not entry then
		entry = { last = last, weight = weight }
		addresses.entries[address] = entry
		addresses.order[#addresses.order + 1] = address
	end
	if last > entry.last then entry.last = last end
	if weight > entry.weight then entry.weight = weight end
end

local function admit_addresses()
	if not addresses.order[1] then return end
	local scores, card = scores_of(addresses.key, addresses.order), call('ZCARD', addresses.key) or 0
	local words = {}
	local other = { last = 0 }
	for k, address in ipairs(addresses.order) do
		local entry = addresses.entries[address]
		entry.as, entry.stored = address, scores[k] or -1
		if not scores[k] then
			if pressure == 0 and card < bound.addresses * entry.weight / 4 then
				card = card + 1
			else
				entry.as = OTHER
				other.last = math.max(other.last, entry.last)
				drop('timelines')
			end
		end
		if entry.as == address and entry.last > entry.stored and (not scores[k] or call('EXISTS', prefix .. 'pair:' .. address) == 0) then
			words[#words + 1] = string.format('%.0f', entry.last)
			words[#words + 1] = address
		end
	end
	if other.last > (tonumber(call('ZSCORE', addresses.key, OTHER) or nil) or 0) then
		words[#words + 1] = string.format('%.0f', other.last)
		words[#words + 1] = OTHER
	end
	add_members(addresses.key, words)
end

-- Names that were looked up here; a request for another one counts nowhere.
local names = { order = {}, known = {} }
local function see_name(name)
	if names.known[name] == nil then
		names.known[name] = false
		names.order[#names.order + 1] = name
	end
end

local function find_names()
	if not names.order[1] then return end
	for k, score in ipairs(scores_of(prefix .. 'names', names.order)) do names.known[names.order[k]] = score and true end
end

-- Items ---------------------------------------------------------------------

local trims = 1 -- a call; each looks at all hours of a key

-- Hours of a timeline that are beyond their retention, once there are some.
local function trim_timeline(key, hour)
	local kept = math.floor(retention / 3600)
	if trims == 0 or (call('HLEN', key) or 0) <= 6 * (kept + 24) then return end
	trims = trims - 1
	local oldest, old = hour_text(math.max(hour - kept, 0)), {}
	for _, field in ipairs(call('HKEYS', key) or {}) do
		if string.sub(field, 1, 10) < oldest and #old < 500 then old[#old + 1] = field end
	end
	if old[1] then call('HDEL', key, unpack(old)) end
end

local function is_name(text)
	return string.sub(text, -1) == '.'
end

local prepare, apply = {}, {}

function prepare.t(a)
	if is_name(ARGV[a]) then return see_name(ARGV[a]) end
	see(ARGV[a], tonumber(ARGV[a + 4]), ARGV[a + 2] == 'firewall-drop' and 2 or 1)
end

function apply.t(a)
	local of, hour = ARGV[a], tonumber(ARGV[a + 1])
	if is_name(of) and not names.known[of] then return end
	local key = prefix .. 'timeline:' .. (is_name(of) and of or addresses.entries[of].as)
	if call('HINCRBY', key, hour_text(hour) .. ':' .. ARGV[a + 2], ARGV[a + 3]) == tonumber(ARGV[a + 3]) then
		trim_timeline(key, hour)
		expire(key, hour_expiry(hour))
	end
end

local hours = {} -- of drops
function apply.d(a)
	local hour, member = tonumber(ARGV[a]), ARGV[a + 1] .. ' ' .. ARGV[a + 2] .. ' ' .. ARGV[a + 3]
	local rows = hours[hour]
	if not rows then
		rows = { members = {}, sums = {} }
		hours[hour] = rows
	end
	if not rows.sums[member] then rows.members[#rows.members + 1] = member end
	rows.sums[member] = (rows.sums[member] or 0) + tonumber(ARGV[a + 4])
end

local function store_drops(hour, rows)
	local key, other = prefix .. 'hour:' .. hour_text(hour) .. ':drops', OTHER .. ' ' .. OTHER .. ' -'
	local scores, count, words, turned_away = scores_of(key, rows.members), call('ZCARD', key) or 0, {}, 0
	local is_new = count == 0
	for k, member in ipairs(rows.members) do
		local sum = rows.sums[member]
		if not scores[k] and (pressure > 0 or count >= bound.drops) then
			turned_away = turned_away + sum
			drop('drops')
		else
			if not scores[k] then count = count + 1 end
			words[#words + 1] = string.format('%.0f', (scores[k] or 0) + sum)
			words[#words + 1] = member
		end
	end
	add_members(key, words)
	if turned_away > 0 then call('ZINCRBY', key, string.format('%.0f', turned_away), other) end
	if is_new then expire(key, hour_expiry(hour)) end
end

function prepare.h(a)
	see(ARGV[a], tonumber(ARGV[a + 4]), 2)
end

local sizes = {}
function apply.h(a)
	local address, first, last, count, verdict = addresses.entries[ARGV[a]].as, tonumber(ARGV[a + 3]), tonumber(ARGV[a + 4]), tonumber(ARGV[a + 5]), ARGV[a + 6]
	local key, field = prefix .. 'history:' .. address, ARGV[a + 1] .. ' ' .. ARGV[a + 2]
	local old = call('HGET', key, field)
	if not old then
		sizes[key] = sizes[key] or call('HLEN', key) or 0
		if pressure > 0 or sizes[key] >= bound.history then
			field, verdict = OTHER .. ' ' .. OTHER, 'ambiguous'
			old = call('HGET', key, field)
			drop('history')
		else
			sizes[key] = sizes[key] + 1
		end
	end
	local old_first, old_last, old_count, old_verdict = string.match(old or '', '^(%d+) (%d+) (%d+) (%a+)$')
	if old_first then
		first, last, count = math.min(first, tonumber(old_first)), math.max(last, tonumber(old_last)), count + tonumber(old_count)
		if old_verdict == 'certain' then verdict = old_verdict end
	end
	call('HSET', key, field, string.format('%.0f %.0f %.0f %s', first, last, count, verdict))
	expire(key, last / 1000 + pair_retention)
end

-- The newest that is told of a computer.
function apply.e(a)
	local key, client = prefix .. 'eventlog', ARGV[a]
	local old = call('HGET', key, client)
	if old and (tonumber(decode(old).at) or 0) > tonumber(ARGV[a + 1]) then return end
	if not old and (pressure > 1 or (call('HLEN', key) or 0) >= bound.eventlog) then return drop('eventlog') end
	call('HSET', key, client, ARGV[a + 2])
end

-- The chunk -------------------------------------------------------------------

for _, a in ipairs(positions) do
	local ready = prepare[ARGV[a]]
	if ready then ready(a + 1) end
end
admit_addresses()
find_names()
for _, a in ipairs(positions) do apply[ARGV[a]](a + 1) end
for hour, rows in pairs(hours) do store_drops(hour, rows) end
for key, when in pairs(expiry) do raise_expiry(key, when) end
for family, count in pairs(known[1] and dropped or {}) do call('HINCRBY', meta, 'dropped_' .. family, count) end
return { 'applied', tonumber(offset_text), failed, first_error, dropped_all }
